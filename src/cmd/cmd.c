/* Flags, help and complaints, see cmd.h. */
#include "cmd.h"

#include "clean.h"

#include "../fmt.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

enum {
    FLAGS_MAX = 16,
    LONG = 256, /* getopt's value for a long flag is this plus its index: never a letter */
    LONG_HELP = LONG + FLAGS_MAX,
};

static const struct cmd_flag help_flag = {'h', "help", NULL, "print this help"};

void cmd_say(const char *format, ...)
{
    char line[8192]; /* one write, so that lines of several processes do not mix */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "plimsoll: %s\n", line);
}

int cmd_bad_value(const struct cmd_verb *self, const char *what, const char *value,
                  const char *expected)
{
    cmd_say("%s: bad value \"%s\" for %s, expected %s", self->name, value, what, expected);
    return EXIT_USAGE;
}

int cmd_bad_argument(const struct cmd_verb *self, const char *argument)
{
    cmd_say("%s: unexpected argument \"%s\", expected: plimsoll %s %s", self->name, argument,
            self->name, self->synopsis);
    return EXIT_USAGE;
}

int cmd_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    const char *end;
    uint64_t v;
    int rc = fmt_parse_u64(text, &end, &v);
    if (rc < 0 || *end != '\0')
        return rc < 0 ? rc : -EINVAL;
    if (v < least || v > most)
        return -ERANGE;
    *ret = v;
    return 0;
}

static void print_flag(const struct cmd_flag *flag, FILE *to)
{
    char left[64];
    char letter[8] = "    ";
    if (flag->letter != 0)
        (void)snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
    (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name,
                   flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
    fprintf(to, "  %-24s %s\n", left, flag->help);
}

static void print_help(const struct cmd_verb *self, FILE *to)
{
    fprintf(to, "Usage: plimsoll %s %s\n\n%s\n\nFlags:\n", self->name, self->synopsis,
            self->summary);
    for (const struct cmd_flag *flag = self->flags; flag->name != NULL; flag++)
        print_flag(flag, to);
    print_flag(&help_flag, to);
    if (self->details != NULL)
        fprintf(to, "\n%s\n", self->details);
}

/* Our table in getopt's form. */
static void getopt_tables(const struct cmd_verb *self, struct option *longs, char *letters)
{
    size_t count = 0;
    if (self->command_follows)
        *letters++ = '+'; /* stop at the first argument that is no flag */
    *letters++ = ':';     /* tell a missing value from an unknown flag */
    *letters++ = help_flag.letter;
    for (const struct cmd_flag *flag = self->flags; flag->name != NULL; flag++) {
        if (count == FLAGS_MAX - 2)
            break;
        longs[count] =
            (struct option){flag->name, flag->value != NULL ? required_argument : no_argument, NULL,
                            LONG + (int)count};
        count++;
        if (flag->letter == 0)
            continue;
        *letters++ = flag->letter;
        if (flag->value != NULL)
            *letters++ = ':';
    }
    *letters = '\0';
    longs[count] = (struct option){help_flag.name, no_argument, NULL, LONG_HELP};
    longs[count + 1] = (struct option){0};
}

/* After a long flag optind is at the next argument already; for a letter it may be at the same one,
 * but optopt tells the letter. */
static int complain_of_flag(const struct cmd_verb *self, int what, char *const *argv)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    clean_text(letter);
    const char *shown = optopt == 0 || optopt >= LONG ? argv[optind - 1] : letter;
    if (what == ':')
        cmd_say("%s: %s needs a value, see: plimsoll %s --help", self->name, shown, self->name);
    else
        cmd_say("%s: bad flag \"%s\", expected one of: plimsoll %s --help", self->name, shown,
                self->name);
    return CMD_BAD;
}

static int end_of_flags(const struct cmd_verb *self, int argc, char **argv)
{
    if (self->command_follows || argc - optind <= self->words_most)
        return CMD_END;
    (void)cmd_bad_argument(self, argv[optind + self->words_most]);
    return CMD_BAD;
}

int cmd_next_flag(const struct cmd_verb *self, int argc, char **argv, const char **ret_value,
                  int *ret_rest)
{
    struct option longs[FLAGS_MAX];
    char letters[2 * FLAGS_MAX + 3];
    getopt_tables(self, longs, letters);

    opterr = 0;
    int got = getopt_long(argc, argv, letters, longs, NULL);
    *ret_value = optarg;
    if (ret_rest != NULL)
        *ret_rest = optind;
    if (got == -1)
        return end_of_flags(self, argc, argv);
    if (got == '?' || got == ':')
        return complain_of_flag(self, got, argv);
    if (got == help_flag.letter || got == LONG_HELP) {
        print_help(self, stdout);
        return CMD_HELP;
    }
    if (got >= LONG)
        return got - LONG;
    for (int i = 0; self->flags[i].name != NULL; i++)
        if (self->flags[i].letter == got)
            return i;
    return CMD_BAD;
}

int cmd_flag_exit(int next)
{
    return next == CMD_HELP ? EXIT_OK : EXIT_USAGE;
}
