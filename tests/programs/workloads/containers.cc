// Containers, templates, threads and exceptions. Compiled by a test, and run by another.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

using Number = std::uint64_t;

static Number next(Number &state)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

static Number mix(Number sum, const std::string &text)
{
    for (char c : text)
        sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return sum;
}

// Many instantiations: a family of types, each of which holds the previous one.
template <int N> struct Chain {
    std::map<int, std::vector<std::tuple<std::string, Chain<N - 1> *>>> held;
    std::unique_ptr<Chain<N - 1>> inner = std::make_unique<Chain<N - 1>>();

    Number sum(Number seed)
    {
        for (int i = 0; i < 20; i++)
            held[i % 7].emplace_back(std::to_string(next(seed) % 1000), inner.get());
        Number total = inner->sum(seed);
        for (const auto &[key, list] : held)
            for (const auto &[text, chain] : list)
                total = mix(total + static_cast<Number>(key), text);
        return total;
    }
};

template <> struct Chain<0> {
    Number sum(Number seed) { return seed; }
};

static Number containers(Number seed)
{
    std::map<std::string, std::set<Number>> sorted;
    std::unordered_map<Number, std::list<std::string>> hashed;
    for (int i = 0; i < 30000; i++) {
        std::string key(next(seed) % 50, 'k');
        key += std::to_string(next(seed) % 3000);
        sorted[key].insert(next(seed) % 100);
        hashed[next(seed) % 2000].push_back(key);
    }
    Number total = 0;
    for (const auto &[key, values] : sorted)
        total = mix(total + values.size(), key);
    for (Number i = 0; i < 2000; i++)
        for (const auto &text : hashed[i])
            total = mix(total, text);
    return total;
}

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
    std::shared_ptr<std::string> kept = std::make_shared<std::string>(500, 'f');
};

static Number exceptions(int depth, Number seed)
{
    std::string held(next(seed) % 300, 'h');
    if (depth == 0)
        throw Failure(held + std::to_string(seed % 1000));
    try {
        return exceptions(depth - 1, seed) + held.size();
    } catch (const Failure &failure) {
        if (depth % 3 == 0)
            return mix(0, failure.what() + *failure.kept);
        throw;
    }
}

static int handler_calls;

static std::string out_of_memory()
{
    std::set_new_handler([] {
        if (++handler_calls == 3)
            throw std::bad_alloc();
    });
    volatile std::size_t size = std::numeric_limits<std::ptrdiff_t>::max() - 4096;
    std::string told = "allocated";
    try {
        char *p = static_cast<char *>(::operator new(size));
        ::operator delete(p);
    } catch (const std::bad_alloc &) {
        told = "refused";
    }
    std::set_new_handler(nullptr);
    if (::operator new(size, std::nothrow) != nullptr)
        told += ", allocated";
    return told + " after " + std::to_string(handler_calls);
}

struct alignas(256) Aligned {
    char bytes[256];
};

int main()
{
    std::printf("chain %llx\n", static_cast<unsigned long long>(Chain<40>().sum(1)));
    std::vector<std::future<Number>> futures;
    for (Number i = 0; i < 8; i++)
        futures.push_back(std::async(std::launch::async, containers, i));
    Number total = 0;
    for (auto &future : futures)
        total = total * 31 + future.get();
    std::printf("containers %llx\n", static_cast<unsigned long long>(total));
    total = 0;
    for (Number i = 0; i < 2000; i++)
        total += exceptions(7, i);
    std::printf("exceptions %llx\n", static_cast<unsigned long long>(total));
    std::printf("operator new %s\n", out_of_memory().c_str());
    std::vector<std::unique_ptr<Aligned>> aligned;
    for (int i = 0; i < 1000; i++)
        aligned.push_back(std::make_unique<Aligned>());
    bool all = std::all_of(aligned.begin(), aligned.end(), [](const auto &p) {
        return reinterpret_cast<std::uintptr_t>(p.get()) % 256 == 0;
    });
    std::printf("aligned %d\n", all);
    const std::regex pattern("y(\\d+)=");
    std::string text;
    for (int i = 0; i < 2000; i++)
        text += "key" + std::to_string(i) + "=value;";
    std::sregex_iterator first(text.begin(), text.end(), pattern), last;
    std::printf("regex %td\n", std::distance(first, last));
}
