// Four jobs at a time, each in a thread of its own that ends with it. A job builds a table
// (strings, vectors that grow, a map), sorts and joins it, and leaves 5000 rows in a cache that
// keeps the rows of the last twelve jobs.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

struct Row {
    long key;
    std::string name;
    std::vector<int> values;
};

using Table = std::vector<Row>;

std::mutex cache_mutex;
std::deque<Table> cache;
size_t rows_kept;

Table build(unsigned job)
{
    unsigned state = job * 2654435761u + 1;
    size_t rows = 25000 + 9000 * (job * 7 % 8), longest = 20 + 70 * (job % 5);
    Table table;
    for (size_t i = 0; i < rows; i++) {
        state = state * 1103515245 + 12345;
        Row row{static_cast<long>(state >> 8), std::string((state >> 4) % longest + 1, 'r'), {}};
        for (unsigned n = 0; n < (state >> 12) % 24; n++)
            row.values.push_back(static_cast<int>(n * state));
        table.push_back(std::move(row));
    }
    return table;
}

void run(unsigned job)
{
    Table table = build(job);
    std::map<std::string, std::vector<const Row *>> by_name;
    std::unordered_map<long, std::string> joined;
    for (const Row &row : table) {
        by_name[row.name].push_back(&row);
        if (row.key % 3 == 0)
            joined[row.key] += row.name;
    }
    std::string text;
    for (auto &[name, rows] : by_name)
        text += name + std::to_string(rows.size()) + "\n";
    by_name.clear();
    std::sort(table.begin(), table.end(), [](auto &a, auto &b) { return a.key < b.key; });
    Table kept;
    for (size_t i = 0; i < 5000; i++)
        kept.push_back(table[i * (table.size() / 5000)]);
    std::lock_guard lock(cache_mutex);
    rows_kept += kept.size();
    cache.push_back(std::move(kept));
    if (cache.size() > 12)
        cache.pop_front();
}

} // namespace

int main()
{
    constexpr unsigned kJobs = 96, kAtATime = 4;
    for (unsigned job = 0; job < kJobs; job += kAtATime) {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < kAtATime; i++)
            threads.emplace_back(run, job + i);
        for (auto &thread : threads)
            thread.join();
    }
    printf("%u jobs, %zu rows kept\n", kJobs, rows_kept);
    return 0;
}
