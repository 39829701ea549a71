/*
 * Files that exist only in the input of a fuzzer or unit test. Stands in for the file calls of
 * src/sys.h, so that what reads /proc and cgroups can be fed with any tree, a hundred thousand a
 * second.
 *
 * The input has the form of tests/fixtures/cgroup-cases, with a few additions:
 *
 *   @@ tree file [nonl] PATH    what stands in it follows, up to the next @@ line
 *   @@ tree dir PATH
 *   @@ tree denied PATH         cannot be opened
 *   @@ tree gone PATH           can be opened; reading says ENODEV, as for a removed cgroup
 *   @@ chunk N                  no read gives more than N bytes
 *
 * Other sections and lines are passed over.
 */
#ifndef PLIM_FUZZ_FAKE_FILES_H
#define PLIM_FUZZ_FAKE_FILES_H

#include <stddef.h>
#include <stdint.h>

/* All paths may be prefixed by this one. */
#define FAKE_ROOT "/root-of-the-input"

void fake_begin(const uint8_t *data, size_t len);
/* From now on no read gives more than `len` bytes, whatever the input says; 0: whole reads. */
void fake_chunk(size_t len);
/* Lets time pass. */
void fake_pass(uint64_t ns);
/* From now on reading a whole file takes this long. */
void fake_slow(uint64_t ns);
/* How often files of that name have been opened since fake_begin(). */
unsigned fake_opened(const char *name);
/* The machine's RAM from now on; 16 GiB at first. */
void fake_ram(uint64_t bytes);
/* The machine's free swap; none at first. */
void fake_swap_free(uint64_t bytes);
/* Aborts if a descriptor or a mapping was left behind. */
void fake_end(void);

#endif
