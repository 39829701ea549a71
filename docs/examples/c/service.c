/*
 * An HTTP service that lives with its memory limit.
 *   Build: cc -O2 -pthread -o service service.c -lmicrohttpd
 *   Run:   plimsoll run -m 128Mi --cpus 2 -- ./service 8080 8081
 * Port 0 takes any free port; the ports in use are printed.
 *
 *   8080: GET /work?mib=8&ms=100   expensive: takes memory and time. From MEDIUM on it is refused
 *                                  with 503 and Retry-After, before anything is allocated for it
 *         GET /                    cheap: always answered
 *   8081: GET /ready               200, or 503 at CRITICAL and while the service drains
 *
 * The probe has a port and a thread of its own, so that it never waits behind work. Answering it
 * allocates nothing: the answers are made at the start, and plim_level() is one load. (A new
 * connection costs libmicrohttpd some 30 KiB, a request on an existing one nothing.)
 *
 * SIGTERM drains: /ready says 503 at once. A second later no more connections are accepted,
 * requests in progress are finished, and the program ends with 0.
 */
#define PLIM_OPTIONAL /* runs without the library too */
#include <plimsoll.h>

#include <microhttpd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_NOTICE_MS = 1000, DRAIN_AT_MOST_MS = 30000 };

static struct MHD_Response *hello, *ready, *not_ready, *busy, *not_found;
static atomic_bool draining;
static atomic_int in_progress; /* requests to the main port */

static enum plim_level level(void)
{
    return plim_present() ? plim_level() : PLIM_NORMAL;
}

static unsigned cpus(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return plim_present() ? plim_cpus() : online > 0 ? (unsigned)online : 1;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* --- answers --- */

static struct MHD_Response *fixed(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
}

static int make_answers(void)
{
    hello = fixed("hello\n");
    ready = fixed("ready\n");
    not_ready = fixed("not ready\n");
    busy = fixed("short of memory, try again\n");
    not_found = fixed("no such page\n");
    return hello && ready && not_ready && busy && not_found &&
           MHD_add_response_header(busy, MHD_HTTP_HEADER_RETRY_AFTER, "2") == MHD_YES;
}

static long argument(struct MHD_Connection *c, const char *name, long fallback, long most)
{
    const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
    long n = text ? strtol(text, NULL, 10) : fallback;
    return n < 0 ? 0 : n > most ? most : n;
}

static enum MHD_Result do_work(struct MHD_Connection *c)
{
    size_t size = (size_t)argument(c, "mib", 8, 1024) << 20;
    char text[64], *memory = malloc(size);
    if (!memory) /* PLIMSOLL_ON_LIMIT=fail */
        return MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, busy);
    memset(memory, 'x', size);
    sleep_ms(argument(c, "ms", 100, 60000));
    int len = snprintf(text, sizeof(text), "used %zu MiB, ends in %c\n", size >> 20,
                       size ? memory[size - 1] : '-');
    free(memory);
    struct MHD_Response *answer =
        MHD_create_response_from_buffer((size_t)len, text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc = answer ? MHD_queue_response(c, MHD_HTTP_OK, answer) : MHD_NO;
    if (answer)
        MHD_destroy_response(answer);
    return rc;
}

/* --- requests --- */

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **request)
{
    (void)arg, (void)method, (void)version, (void)data, (void)data_size;
    if (!*request) { /* called twice for each request: first before its body */
        *request = &in_progress;
        atomic_fetch_add(&in_progress, 1);
        return MHD_YES;
    }
    if (strcmp(url, "/") == 0)
        return MHD_queue_response(c, MHD_HTTP_OK, hello);
    if (strcmp(url, "/work") != 0)
        return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, not_found);
    if (level() >= PLIM_MEDIUM)
        return MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, busy);
    return do_work(c);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **request,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)c, (void)why;
    if (*request == &in_progress)
        atomic_fetch_sub(&in_progress, 1);
    *request = NULL;
}

/* Allocates nothing. */
static enum MHD_Result on_probe(void *arg, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_size, void **request)
{
    (void)arg, (void)method, (void)version, (void)data, (void)data_size;
    if (!*request) { /* an answer at the first call would close the connection */
        *request = ready;
        return MHD_YES;
    }
    if (strcmp(url, "/ready") != 0)
        return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, not_found);
    bool fine = level() < PLIM_CRITICAL && !atomic_load(&draining);
    return fine ? MHD_queue_response(c, MHD_HTTP_OK, ready)
                : MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, not_ready);
}

static struct MHD_Daemon *serve(const char *port, unsigned threads, MHD_AccessHandlerCallback fn)
{
    /* libmicrohttpd has no pool of one thread. */
    const struct MHD_OptionItem pool = {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    const struct MHD_OptionItem options[] = {
        threads > 1 ? pool : (struct MHD_OptionItem){MHD_OPTION_END}, {MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC,
                            (uint16_t)strtoul(port, NULL, 10), NULL, NULL, fn, NULL,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY,
                            options, MHD_OPTION_END);
}

static unsigned port_of(struct MHD_Daemon *daemon)
{
    return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* --- from start to end --- */

static void drain(struct MHD_Daemon *service)
{
    atomic_store(&draining, true);
    sleep_ms(DRAIN_NOTICE_MS); /* until the balancer has asked /ready and sends no more */
    MHD_socket listener = MHD_quiesce_daemon(service);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    for (int ms = 0; atomic_load(&in_progress) > 0 && ms < DRAIN_AT_MOST_MS; ms += 10)
        sleep_ms(10);
}

int main(int argc, char **argv)
{
    sigset_t ending;
    int sig;
    /* Blocked here, and so in all threads, for sigwait() to take them. */
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);

    /* The fd itself is not used. But once a program has asked for it, the level is kept up to date
     * at least once a second, even while nothing is allocated. */
    if (plim_present() && plim_pressure_fd() < 0)
        fprintf(stderr, "no memory pressure is told: the library is off\n");

    unsigned threads = cpus();
    struct MHD_Daemon *service = NULL, *probe = NULL;
    if (make_answers()) {
        service = serve(argc > 1 ? argv[1] : "8080", threads, on_request);
        probe = serve(argc > 2 ? argv[2] : "8081", 1, on_probe);
    }
    if (!service || !probe) {
        fprintf(stderr, "the service cannot start: are its ports free?\n");
        return 1;
    }
    printf("port=%u probe_port=%u threads=%u\n", port_of(service), port_of(probe), threads);
    fflush(stdout);

    sigwait(&ending, &sig);
    drain(service);
    MHD_stop_daemon(service);
    MHD_stop_daemon(probe);
    return 0;
}
