"""The unit tests that are also run in other builds: by clang, for arm64, under sanitizers."""

PORTABLE = """fmt limits options options_values outer page page_file sys sys_file sys_memory decay_curve governor
    governor_purge governor_group governor_budget
    governor_looks governor_hold governor_in_flight governor_read_ahead governor_watch governor_odd_limits
    governor_reclaim governor_reclaim_again governor_reclaim_wait governor_cannot_meet
    log record requests reclaimers reclaimers_calls reclaimers_threads cgroup_read""".split()
