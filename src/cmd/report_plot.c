/* Plots by gnuplot, see report.h. Script and data go in by a file, the picture comes out by one. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t picture_max = (size_t)16 << 20;
/* Times are written with four digits: a shorter axis would have no length. */
static const uint64_t span_min = NS_PER_MS;

static double mib(uint64_t bytes)
{
    return (double)bytes / (double)MiB;
}

/* "NaN" leaves a gap. */
static void put(FILE *to, uint64_t bytes)
{
    if (bytes == UNLIMITED)
        fputs(" NaN", to);
    else
        fprintf(to, " %.3f", mib(bytes));
}

/* Samples as a table: time before the last one, then what the plot shows. */
static void write_data(const struct flight *f, double unit, FILE *to)
{
    uint64_t end = f->samples[f->sample_count - 1].at_ns;
    fputs("$d << EOD\n", to);
    for (unsigned i = 0; i < f->sample_count; i++) {
        const struct record_sample *s = &f->samples[i];
        fprintf(to, "%.4f", -(double)(end - s->at_ns) / 1e9 / unit);
        put(to, s->active);
        put(to, s->committed);
        put(to, s->usage);
        put(to, s->soft);
        put(to, s->hard);
        put(to, s->purged);
        put(to, s->asked);
        put(to, s->freed);
        fputc('\n', to);
    }
    fputs("EOD\n", to);
}

static const char memory_plot[] =
    "set ylabel 'MiB'\n"
    "plot $d using 1:4 with filledcurves y1=0 lc rgb '#c9b6dd' title 'outside the heap',"
    " $d using 1:3 with filledcurves y1=0 lc rgb '#a8d5a2' title 'free pages of the heap',"
    " $d using 1:2 with filledcurves y1=0 lc rgb '#6fa8dc' title 'heap in use',"
    " $d using 1:4 with lines lw 2 lc rgb '#333333' title 'usage',"
    " $d using 1:5 with steps lw 2 dt 2 lc rgb '#e69138' title 'soft limit',"
    " $d using 1:6 with steps lw 2 lc rgb '#cc0000' title 'limit'\n";

static const char reclaim_plot[] =
    "set ylabel 'MiB'\n"
    "plot $d using 1:($7>0?$7:NaN) with impulses lw 2 lc rgb '#38761d' title 'purged',"
    " $d using 1:($8>0?$8:NaN) with points pt 4 lc rgb '#cc0000' title 'asked of callbacks',"
    " $d using 1:($9>0?$9:NaN) with impulses lw 3 lc rgb '#3d85c6' title 'given by callbacks'\n";

static bool has_data(const struct flight *f, const struct verdict *v, enum report_plot which)
{
    if (f->sample_count < 2 || v->span_ns < span_min)
        return false;
    return which == REPORT_PLOT_MEMORY || v->purged > 0 || v->asked > 0 || v->freed > 0;
}

bool report_plot_script(const struct flight *f, const struct verdict *v, enum report_plot which,
                        FILE *to)
{
    if (!has_data(f, v, which))
        return false;
    uint64_t span = f->samples[f->sample_count - 1].at_ns - f->samples[0].at_ns;
    bool minutes = span > 300 * NS_PER_S;
    fprintf(to,
            "set terminal svg size 900,%d dynamic font 'sans-serif,13' background '#ffffff' "
            "name 'plot%d'\n"
            "set key outside top center horizontal\nset grid ytics lc rgb '#dddddd'\n"
            "set xlabel '%s before the end'\nset yrange [0:*]\nset offsets 0,0,graph 0.05,0\n"
            "set border 3\nset lmargin 9\nset tics nomirror\nset xrange [%.4f:0]\n",
            which == REPORT_PLOT_MEMORY ? 420 : 240, (int)which, minutes ? "minutes" : "seconds",
            -(double)span / 1e9 / (minutes ? 60 : 1));
    write_data(f, minutes ? 60 : 1, to);
    fputs(which == REPORT_PLOT_MEMORY ? memory_plot : reclaim_plot, to);
    return true;
}

/* Runs gnuplot from one file to another. What it complains of helps nobody here. */
static int run_gnuplot(int from, int to)
{
    posix_spawn_file_actions_t actions;
    char *const argv[] = {"gnuplot", "-", NULL};
    pid_t pid;
    int status;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    int rc = posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    rc = rc != 0
             ? rc
             : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    rc = rc != 0 ? rc : posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return rc == ENOENT ? -ENOENT : -EIO;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -EIO;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return -ENOENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* What gnuplot wrote, from <svg on: the prologue does not belong inside a page. */
static int take_picture(FILE *from, char **ret)
{
    if (fseek(from, 0, SEEK_END) != 0)
        return -EIO;
    long len = ftell(from);
    if (len <= 0 || (size_t)len > picture_max)
        return -EIO;
    char *text = calloc(1, (size_t)len + 1);
    if (text == NULL)
        return -ENOMEM;
    rewind(from);
    size_t got = fread(text, 1, (size_t)len, from);
    char *svg = strstr(text, "<svg");
    if (got != (size_t)len || svg == NULL || strstr(svg, "</svg>") == NULL) {
        free(text);
        return -EIO;
    }
    memmove(text, svg, strlen(svg) + 1);
    *ret = text;
    return 0;
}

static int draw(const struct flight *f, const struct verdict *v, enum report_plot which, char **ret)
{
    FILE *script = tmpfile(), *picture = tmpfile();
    int rc = script != NULL && picture != NULL ? 0 : -EIO;
    if (rc == 0 && report_plot_script(f, v, which, script)) {
        rc = fflush(script) == 0 && lseek(fileno(script), 0, SEEK_SET) == 0 ? 0 : -EIO;
        rc = rc < 0 ? rc : run_gnuplot(fileno(script), fileno(picture));
        rc = rc < 0 ? rc : take_picture(picture, ret);
    }
    if (script != NULL)
        (void)fclose(script);
    if (picture != NULL)
        (void)fclose(picture);
    return rc;
}

int report_plots_draw(const struct flight *f, const struct verdict *v, struct report_plots *ret)
{
    int rc = 0;
    *ret = (struct report_plots){0};
    for (unsigned i = 0; i < REPORT_PLOT_COUNT && rc == 0; i++)
        rc = draw(f, v, (enum report_plot)i, &ret->svg[i]);
    return rc;
}

void report_plots_free(struct report_plots *plots)
{
    for (unsigned i = 0; i < REPORT_PLOT_COUNT; i++)
        free(plots->svg[i]);
}
