/* How a program ended, see run_outcome.h. */
#include "run_outcome.h"

#include "cmd.h"
#include "json.h"
#include "words.h"

#include <inttypes.h>
#include <sys/wait.h>

void run_outcome_say(const struct run_outcome *o)
{
    const struct scope_toll *toll = &o->toll;
    if (toll->kills == 0)
        return;
    cmd_say("the kernel killed %" PRIu64 " %s of %s %s its memory limit of %s (peak %s)",
            toll->kills, toll->kills == 1 ? "process" : "processes", o->command,
            toll->at_own_limit ? "at" : "for want of memory outside, below",
            words_bytes(o->limits.memory), words_known(toll->peak_bytes));
}

void run_outcome_json(const struct run_outcome *o)
{
    json_t *json = json_object();
    json_object_set_new(json, "command", json_text(o->command));
    json_object_set_new(json, "exit_code", json_integer(run_outcome_exit_code(o)));
    json_object_set_new(json, "signal",
                        WIFSIGNALED(o->status) ? json_integer(WTERMSIG(o->status)) : json_null());
    json_object_set_new(json, "seconds", json_seconds(o->ran_ns));
    json_object_set_new(json, "memory_limit_bytes", json_limit(o->limits.memory));
    json_object_set_new(json, "cpus", json_millis(o->limits.millicpus));
    json_object_set_new(json, "peak_bytes", json_known(o->toll.peak_bytes));
    json_object_set_new(json, "oom_kills", json_number(o->toll.kills));
    json_object_set_new(json, "at_own_limit", json_boolean(o->toll.at_own_limit));
    json_write(json, stderr);
}

int run_outcome_exit_code(const struct run_outcome *o)
{
    if (WIFSIGNALED(o->status))
        return EXIT_RUN_SIGNAL + WTERMSIG(o->status);
    return WEXITSTATUS(o->status);
}
