/* A service on libsystemd's event loop: it asks for memory pressure as any such service does. */
#include "growing.h"

#include <systemd/sd-event.h>
#include <time.h>

static int on_pressure(sd_event_source *source, void *data)
{
    (void)source, (void)data;
    cache_drop_half();
    return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *data)
{
    (void)data;
    if (!cache_grow())
        return sd_event_exit(sd_event_source_get_event(source), 0);
    sd_event_source_set_time(source, usec + 5000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int main(void)
{
    sd_event *event = NULL;
    sd_event_source *pressure = NULL;
    if (sd_event_new(&event) < 0)
        return 2;
    int rc = sd_event_add_memory_pressure(event, &pressure, on_pressure, NULL);
    if (rc < 0)
        printf("no memory pressure: %s\n", strerror(-rc));
    rc = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 0, 0, on_time, NULL);
    if (rc < 0 || sd_event_loop(event) < 0)
        return 2;
    cache_report();
    sd_event_source_unref(pressure);
    sd_event_unref(event);
    return 0;
}
