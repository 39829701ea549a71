# Turns a heap profile of jemalloc's into one that pprof and google-pprof read:
# awk -f heap-to-pprof.awk FILE > NEW-FILE
/^heap_v2\// { rate = $1 }
/^@/ { stack = $0 }
/^  t\*:/ { # sums over all threads: first of all stacks, then of each
    sub(/^ *t\*: */, "")
    print (stack ? $0 " " stack : "heap profile: " $0 " @ " rate)
}
/^MAPPED_LIBRARIES/ { rest = 1; print "" }
rest
