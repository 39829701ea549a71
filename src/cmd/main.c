/* The plimsoll command: finds the verb and hands over to it. */
#include "cmd.h"

#include <string.h>

static const struct cmd_verb *const verbs[] = {&verb_run,    &verb_doctor,  &verb_top,
                                               &verb_status, &verb_metrics, &verb_ctl,
                                               &verb_report, &verb_options};

static void print_usage(FILE *to)
{
    fputs("Usage: plimsoll VERB [FLAG...] [ARGUMENT...]\n\n"
          "Keeps processes under the memory limit of their cgroup.\n\nVerbs:\n",
          to);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(to, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\nFlags:\n"
          "  -h, --help    print this help; after a verb, the help of that verb\n"
          "  -V, --version print the version\n\n"
          "See plimsoll(1), and plimsoll(7) for the environment variables.\n",
          to);
}

static int run_verb(int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i]->name, argv[0]) == 0)
            return verbs[i]->run(verbs[i], argc, argv);
    cmd_say("unknown %s \"%s\", expected one of: plimsoll --help",
            argv[0][0] == '-' ? "flag" : "verb", argv[0]);
    return EXIT_USAGE;
}

static bool is_either(const char *argument, const char *a, const char *b)
{
    return strcmp(argument, a) == 0 || strcmp(argument, b) == 0;
}

int main(int argc, char **argv)
{
    int code = EXIT_OK;
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_either(argv[1], "-h", "--help"))
        print_usage(stdout);
    else if (is_either(argv[1], "-V", "--version"))
        puts("plimsoll " CMD_VERSION);
    else
        code = run_verb(argc - 1, argv + 1);

    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
        cmd_say("cannot write the output: %m");
        code = EXIT_PROBLEM;
    }
    return code;
}
