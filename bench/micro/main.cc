/* Runs the cases that --benchmark_filter selects; adds the process's peak memory to their figures.
 */
#include "bench.h"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

size_t divisor = 1;

/* A field of /proc/self/status, in bytes. */
static double status_bytes(const char *field)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return 0;
    text[length] = '\0';
    const char *at = strstr(text, field);
    return at == nullptr ? 0 : strtod(at + strlen(field), nullptr) * KiB;
}

Case::Case(const char *name, void (*body)())
{
    auto run = [body](benchmark::State &state) {
        for (auto _ : state)
            body();
        state.counters["peak"] = status_bytes("VmHWM:");
        state.counters["kept"] = status_bytes("VmRSS:");
    };
    benchmark::RegisterBenchmark(name, run)
        ->Iterations(1)
        ->MeasureProcessCPUTime()
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

void on_threads(size_t count, const std::function<void(size_t)> &work)
{
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; i++)
        threads.emplace_back(work, i);
    for (auto &thread : threads)
        thread.join();
}

int main(int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--divide=%zu", &divisor) != 1)
            argv[kept++] = argv[i];
    }
    argc = kept;
    if (divisor == 0)
        divisor = 1;
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
