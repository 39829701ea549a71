/* Metrics over HTTP, by libmicrohttpd. See metrics.h. */
#include "cmd.h"
#include "listen.h"
#include "metrics.h"
#include "metrics_page.h" /* made from metrics_page.html */

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    THREADS = 4,
    CONNECTIONS = 256,
    IDLE_SECONDS = 15, /* then a connection is closed */
};

/* Bytes of answers not yet read by clients, at most: connections that ask and then read slowly must
 * not cost more. A single answer may be larger. */
static const size_t unread_max = (size_t)64 << 20;
/* Added to and taken from by the server's threads: nothing else depends on it. */
static _Atomic size_t unread;

#define TYPE_PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The page contains its script and fetches only from its own server; nothing else is allowed. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "                  \
    "connect-src 'self'; img-src data:"

/* Takes over the response. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              struct MHD_Response *r)
{
    if (r == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(r, "Content-Security-Policy", PAGE_POLICY);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, "Allow", "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return queued;
}

static struct MHD_Response *constant(const void *bytes, size_t len)
{
    return MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    return answer(c, status, "text/plain; charset=utf-8", constant(text, strlen(text)));
}

static bool wants_openmetrics(struct MHD_Connection *c)
{
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept");
    return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

struct body {
    char *text;
    size_t len;
};

static void body_free(void *body)
{
    struct body *b = body;
    atomic_fetch_sub_explicit(&unread, b->len, memory_order_relaxed);
    free(b->text);
    free(b);
}

/* Frees the text, at once or when it has been sent. */
static enum MHD_Result answer_body(struct MHD_Connection *c, const char *type, char *text,
                                   size_t len)
{
    struct body *b = malloc(sizeof(*b));
    if (b == NULL) {
        free(text);
        return MHD_NO;
    }
    *b = (struct body){text, len};
    size_t before = atomic_fetch_add_explicit(&unread, len, memory_order_relaxed);
    if (before > 0 && before + len > unread_max) {
        body_free(b);
        return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many answers wait to be read\n");
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback_cls(len, text, body_free, b);
    if (r == NULL)
        body_free(b);
    return answer(c, MHD_HTTP_OK, type, r);
}

/* Reads all pages for each request: what is served is as fresh as can be. */
static enum MHD_Result answer_pages(struct MHD_Connection *c, bool json)
{
    struct pages pages;
    char *text = NULL;
    size_t len = 0;
    bool open = wants_openmetrics(c);
    FILE *to = open_memstream(&text, &len);
    int rc = to == NULL ? -errno : pages_read(json, &pages);
    if (rc == 0) {
        if (json)
            metrics_write_json(&pages, to);
        else
            metrics_write(&pages, open ? METRICS_OPENMETRICS : METRICS_PROMETHEUS, to);
        pages_free(&pages);
    }
    if (to != NULL && fclose(to) != 0)
        rc = -ENOMEM;
    if (rc == 0)
        return answer_body(c,
                           json   ? "application/json"
                           : open ? TYPE_OPENMETRICS
                                  : TYPE_PROMETHEUS,
                           text, len);
    free(text);
    return answer_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the stats pages cannot be read\n");
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    (void)arg, (void)version, (void)upload, (void)state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *upload_size = 0;
        return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    if (strcmp(url, "/metrics") == 0)
        return answer_pages(c, false);
    if (strcmp(url, "/data.json") == 0)
        return answer_pages(c, true);
    if (strcmp(url, "/healthz") == 0)
        return answer_text(c, MHD_HTTP_OK, "ok\n");
    if (strcmp(url, "/") == 0)
        return answer(c, MHD_HTTP_OK, "text/html; charset=utf-8",
                      constant(metrics_page, sizeof(metrics_page)));
    return answer_text(c, MHD_HTTP_NOT_FOUND,
                       "not here; there are /, /metrics, /data.json and /healthz\n");
}

static void wait_for_end(const sigset_t *ends)
{
    int sig;
    while (sigwait(ends, &sig) != 0)
        ;
}

int metrics_serve(const char *listen)
{
    struct listener listener;
    sigset_t ends;
    int rc = listener_open(listen, &listener);
    if (rc < 0) {
        cmd_say("metrics: %s", listener.failure);
        return rc == -EINVAL ? EXIT_USAGE : EXIT_PROBLEM;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL); /* in the threads as well */
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                         NULL, MHD_OPTION_LISTEN_SOCKET, listener.fd, MHD_OPTION_THREAD_POOL_SIZE,
                         (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (daemon == NULL) {
        cmd_say("metrics: the HTTP server cannot be started");
        (void)close(listener.fd);
        return EXIT_PROBLEM;
    }
    printf("listening on http://%s/\n", listener.name);
    (void)fflush(stdout);
    wait_for_end(&ends);
    MHD_stop_daemon(daemon);
    return EXIT_OK;
}
