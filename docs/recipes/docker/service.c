/*
 * A service for the recipes: answers over HTTP from a cache that has no bound of its own.
 *
 *   GET /get/KEY   the value of KEY, made on the first request and kept
 *   GET /ready     200, or 503 at level critical: for readiness probes
 *   GET /stats     kept=N bytes=N given_back=N level=N limit=N
 *
 * Runs with Plimsoll preloaded, linked or absent; with it, the oldest values go when memory is
 * short. Port: the first argument, else 8080.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUCKETS = 1 << 16, REQUEST_MAX = 4096, VALUE_MIN = 2000, VALUE_SPREAD = 60000 };

struct entry {
    struct entry *next_in_bucket, *newer;
    uint64_t key;
    size_t len;
    char value[];
};

static struct {
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS], *oldest, *newest;
    uint64_t kept, bytes, given_back;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct entry **bucket_of(uint64_t key)
{
    return &cache.buckets[key * 0x9e3779b97f4a7c15u >> 48];
}

static void drop_oldest(void)
{
    struct entry *entry = cache.oldest, **at = bucket_of(entry->key);
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    *at = entry->next_in_bucket;
    cache.oldest = entry->newer;
    if (cache.oldest == NULL)
        cache.newest = NULL;
    cache.kept--;
    cache.bytes -= entry->len;
    free(entry);
}

/* The reclaimer: lets go of as much as is asked for. */
static size_t give_back(const struct plim_pressure *pressure, void *arg)
{
    size_t freed = 0;
    (void)arg;
    pthread_mutex_lock(&cache.lock);
    while (freed < pressure->target && cache.oldest != NULL) {
        freed += cache.oldest->len;
        drop_oldest();
    }
    cache.given_back += freed;
    pthread_mutex_unlock(&cache.lock);
    return freed;
}

static struct entry *make(uint64_t key)
{
    size_t len = VALUE_MIN + (key * 0x9e3779b97f4a7c15u >> 32) % VALUE_SPREAD;
    struct entry *entry = malloc(sizeof(*entry) + len);
    if (entry == NULL)
        return NULL;
    entry->key = key;
    entry->len = len;
    memset(entry->value, 'a' + (int)(key % 26), len);
    return entry;
}

/* Length of the value, its first byte in *ret; 0: no memory. */
static size_t get(uint64_t key, char *ret)
{
    struct entry *entry;
    size_t len = 0;
    pthread_mutex_lock(&cache.lock);
    for (entry = *bucket_of(key); entry != NULL && entry->key != key; entry = entry->next_in_bucket)
        continue;
    if (entry == NULL && (entry = make(key)) != NULL) {
        struct entry **bucket = bucket_of(key);
        entry->next_in_bucket = *bucket;
        *bucket = entry;
        entry->newer = NULL;
        *(cache.newest != NULL ? &cache.newest->newer : &cache.oldest) = entry;
        cache.newest = entry;
        cache.kept++;
        cache.bytes += len = entry->len;
    } else if (entry != NULL) {
        len = entry->len;
    }
    if (entry != NULL)
        *ret = entry->value[0];
    pthread_mutex_unlock(&cache.lock);
    return len;
}

static int print_stats(char *text, size_t size)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    int level = plim_present() ? (int)plim_level() : -1;
    if (plim_present())
        (void)plim_limits(&limits);
    pthread_mutex_lock(&cache.lock);
    int len =
        snprintf(text, size, "kept=%llu bytes=%llu given_back=%llu level=%d limit=%llu\n",
                 (unsigned long long)cache.kept, (unsigned long long)cache.bytes,
                 (unsigned long long)cache.given_back, level, (unsigned long long)limits.hard);
    pthread_mutex_unlock(&cache.lock);
    return len;
}

static void answer(int client, const char *request)
{
    char body[256], reply[512], first;
    const char *status = "200 OK";
    size_t got;
    int len = 0;
    if (strncmp(request, "GET /get/", 9) == 0 &&
        (got = get(strtoull(request + 9, NULL, 10), &first)) > 0)
        len = snprintf(body, sizeof(body), "%c %zu\n", first, got);
    else if (strncmp(request, "GET /get/", 9) == 0)
        status = "503 Service Unavailable";
    else if (strncmp(request, "GET /ready ", 11) == 0)
        status =
            plim_present() && plim_level() >= PLIM_CRITICAL ? "503 Service Unavailable" : status;
    else if (strncmp(request, "GET /stats ", 11) == 0)
        len = print_stats(body, sizeof(body));
    else
        status = "404 Not Found";
    int all = snprintf(reply, sizeof(reply), "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%.*s",
                       status, len, len, body);
    (void)!write(client, reply, (size_t)all);
}

/* Serves one connection after another; each may carry many requests, one at a time. */
static void *serve(void *arg)
{
    int listener = *(int *)arg;
    char request[REQUEST_MAX];
    for (;;) {
        int client = accept(listener, NULL, NULL);
        ssize_t got;
        while (client >= 0 && (got = read(client, request, sizeof(request) - 1)) > 0) {
            request[got] = '\0';
            answer(client, request);
        }
        if (client >= 0)
            close(client);
    }
    return NULL;
}

static void stop(int signum)
{
    (void)signum;
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "8080")),
                             .sin_addr = {htonl(INADDR_ANY)}};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    unsigned threads = plim_present() ? 4 * plim_cpus() : 4;
    signal(SIGTERM, stop); /* process 1 of a container has no default for it */
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 128) < 0) {
        perror("service");
        return 1;
    }
    if (plim_present())
        (void)plim_reclaimer_add("cache", give_back, NULL, PLIM_MEDIUM);
    for (unsigned i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, &listener) != 0)
            break;
    }
    serve(&listener);
}
