// Two heaps under one limit: Go's, and C's by cgo.
//
//	Build: go build -o go_cache .
//	Run:   plimsoll run -m 192Mi -- ./go_cache
//
// --no-reclaimer shows what happens without one: the kernel kills the program.
//
// Plimsoll governs C's heap, and sees Go's in the usage only. GOMEMLIMIT (here: SetMemoryLimit)
// bounds Go's heap, and does not see C's. So Go gets a share of the limit. Under pressure a reclaimer
// shrinks the cache in C's heap, and C code that allocates waits for it; and the pressure fd has Go
// give back its free memory.
package main

/*
#cgo CFLAGS: -DPLIM_OPTIONAL
#include <plimsoll.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t shrinkCache(struct plim_pressure *, void *); // in Go, below

// The functions of plimsoll.h may only be called if the library is there.
static int present(void) { return plim_present(); }

static int add_reclaimer(void)
{
	return plim_reclaimer_add("cache", (plim_reclaim_fn *)shrinkCache, NULL, PLIM_MEDIUM);
}

static void *filled(size_t size)
{
	void *p = malloc(size);
	return p ? memset(p, 1, size) : p;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const entrySize = 20000

// A cache in C's heap, like one that a C library might have.
type cache struct {
	lock    sync.Mutex
	entries []unsafe.Pointer // oldest first
}

func (c *cache) add() {
	entry := C.filled(entrySize)
	c.lock.Lock()
	c.entries = append(c.entries, entry)
	c.lock.Unlock()
}

func (c *cache) shrink(target uint64) (freed uint64) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for freed < target && len(c.entries) > 0 {
		C.free(c.entries[0])
		c.entries = c.entries[1:]
		freed += entrySize
	}
	return freed
}

func (c *cache) len() int {
	c.lock.Lock()
	defer c.lock.Unlock()
	return len(c.entries)
}

var shared cache

// Runs on the library's thread. A thread of Go's may be in malloc, waiting for this very call: so a
// lock that is taken here must not be held during an allocation in C's heap.
//
//export shrinkCache
func shrinkCache(p *C.struct_plim_pressure, _ unsafe.Pointer) C.size_t {
	return C.size_t(shared.shrink(uint64(p.target)))
}

// Calls relieve when memory gets short, and then every second for as long as it is short: the fd
// only tells that the level has changed.
func onPressure(relieve func()) error {
	fd := C.plim_pressure_fd()
	if fd < 0 {
		return fmt.Errorf("plim_pressure_fd: %w", syscall.Errno(-fd))
	}
	file := os.NewFile(uintptr(fd), "pressure") // non-blocking: Go's poller waits, no thread does
	go func() {
		count := make([]byte, 8)
		for {
			if _, err := file.Read(count); err != nil {
				return
			}
			for ; C.plim_level() >= C.PLIM_MEDIUM; time.Sleep(time.Second) {
				relieve()
			}
		}
	}()
	return nil
}

func useReclaimers(relieve func()) error {
	if C.present() == 0 {
		return nil // runs without the library too
	}
	switch id := C.add_reclaimer(); {
	case syscall.Errno(-id) == syscall.ENOSYS: // PLIMSOLL=off
		return nil
	case id < 0 && syscall.Errno(-id) != syscall.ENOTSUP: // ENOTSUP: PLIMSOLL_THREAD=off
		return fmt.Errorf("plim_reclaimer_add: %w", syscall.Errno(-id))
	}
	return onPressure(relieve)
}

func main() {
	var relieved int32
	debug.SetMemoryLimit(32 << 20) // as GOMEMLIMIT=32MiB: Go's share
	if len(os.Args) < 2 || os.Args[1] != "--no-reclaimer" {
		err := useReclaimers(func() {
			debug.FreeOSMemory() // a full collection: too expensive for every few milliseconds
			atomic.AddInt32(&relieved, 1)
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for i := 0; i < 20000; i++ {
		shared.add()
	}
	for shared.len() < 20000 && atomic.LoadInt32(&relieved) == 0 {
		time.Sleep(time.Millisecond) // memory was short: lets relieve run once before the example ends
	}
	fmt.Printf("cached=%d relieved=%d\n", shared.len(), atomic.LoadInt32(&relieved))
}
