/* The screen of plimsoll top, in curses. See top_screen.h. */
#include "top_screen.h"

#include "cmd.h"
#include "figures.h"

#include <curses.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAIR_LOW = 1, PAIR_MEDIUM, PAIR_CRITICAL };

struct screen {
    struct pages pages;
    int problem; /* of the last try to read the pages: 0 or -errno */
    enum column by;
    bool reverse;
    enum column first_column; /* columns before it have been scrolled out */
    size_t first_row;
    bool help;
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
    (void)sig;
    ended = 1;
}

static void refresh_pages(struct screen *s)
{
    struct pages fresh;
    s->problem = pages_read(false, &fresh);
    if (s->problem < 0)
        return; /* the old figures stay, and the screen says so */
    pages_free(&s->pages);
    s->pages = fresh;
}

static attr_t colour(const struct page_view *view)
{
    static const short pairs[] = {0, PAIR_LOW, PAIR_MEDIUM, PAIR_CRITICAL};
    uint64_t level = view->values[PAGE_LEVEL];
    attr_t bold = view->values[PAGE_CANNOT_MEET] != 0 ? A_BOLD : A_NORMAL;
    if (!has_colors() || level >= ARRAY_LEN(pairs))
        return bold;
    return (attr_t)COLOR_PAIR(pairs[level]) | bold;
}

/* Text at the start of a row, cut to the row's length. */
static void draw_line(int row, const char *format, ...) PLIM_PRINTF(2, 3);
static void draw_line(int row, const char *format, ...)
{
    char line[TABLE_WIDTH];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    mvaddnstr(row, 0, line, COLS);
}

static void draw_head(const struct screen *s)
{
    char cannot_meet[48] = "", problem[80] = "";
    unsigned at[4] = {0}, cannot = 0;
    for (size_t i = 0; i < s->pages.count; i++) {
        const uint64_t *v = s->pages.list[i].view.values;
        if (v[PAGE_LEVEL] < ARRAY_LEN(at))
            at[v[PAGE_LEVEL]]++;
        cannot += v[PAGE_CANNOT_MEET] != 0;
    }
    if (cannot > 0)
        (void)snprintf(cannot_meet, sizeof(cannot_meet), "; %u cannot meet the limit", cannot);
    if (s->problem < 0)
        (void)snprintf(problem, sizeof(problem), "; cannot read: %s", strerror(-s->problem));
    draw_line(0, "plimsoll top: %zu process%s, %u %s, %u %s, %u %s, %u %s%s%s", s->pages.count,
              s->pages.count == 1 ? "" : "es", at[3], page_level_word(3), at[2], page_level_word(2),
              at[1], page_level_word(1), at[0], page_level_word(0), cannot_meet, problem);
}

static void draw_rows(struct screen *s)
{
    char line[TABLE_WIDTH];
    size_t rows = LINES > 3 ? (size_t)LINES - 3 : 0;
    if (s->first_row + rows > s->pages.count)
        s->first_row = s->pages.count > rows ? s->pages.count - rows : 0;
    for (size_t i = 0; i < rows && s->first_row + i < s->pages.count; i++) {
        const struct process *p = &s->pages.list[s->first_row + i];
        table_row(p, s->pages.now_ns, s->first_column, COLS, line);
        attrset(colour(&p->view));
        mvaddnstr(2 + (int)i, 0, line, COLS);
    }
    attrset(A_NORMAL);
}

/* Drawn between the titles and the line of keys; what does not fit is left out. */
static void draw_help(void)
{
    int row = 2, end = LINES - 1;
    if (row < end)
        draw_line(row++, "q  quit          r  turn the order round     space  look now");
    if (row < end)
        draw_line(row++, "left, right: columns    up, down, page up, page down: rows");
    for (int c = 0; c < COLUMN_COUNT && row < end; c++)
        if (columns[c].key != 0)
            draw_line(row++, "%c  sort by %s", columns[c].key, columns[c].word);
    if (row < end)
        draw_line(row, "MEETS: NO where reclaiming has given too little for 10 s.");
}

static void draw(struct screen *s)
{
    char line[TABLE_WIDTH];
    table_sort(&s->pages, s->by, s->reverse);
    erase();
    draw_head(s);
    table_titles(s->first_column, s->by, COLS, line);
    attrset(A_REVERSE);
    mvprintw(1, 0, "%-*.*s", COLS, COLS, line);
    attrset(A_NORMAL);
    if (s->help)
        draw_help();
    else
        draw_rows(s);
    mvaddnstr(LINES - 1, 0,
              "q quit  ? help  sort: h headroom u usage c heap l level x cpu w waited p pid n name"
              "  r reverse",
              COLS);
    refresh();
}

static void sort_by_key(struct screen *s, int key)
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (columns[c].key != 0 && columns[c].key == key)
            s->by = (enum column)c;
}

static void move_rows(struct screen *s, bool down, size_t by)
{
    s->first_row = down ? s->first_row + by : s->first_row > by ? s->first_row - by : 0;
}

/* false: the user wants to quit. */
static bool take_key(struct screen *s, int key)
{
    size_t page = LINES > 4 ? (size_t)LINES - 4 : 1;
    switch (key) {
    case 'q':
        return false;
    case 'r':
        s->reverse = !s->reverse;
        break;
    case '?':
        s->help = !s->help;
        break;
    case KEY_LEFT:
        s->first_column -= s->first_column > COLUMN_PID;
        break;
    case KEY_RIGHT:
        s->first_column += s->first_column < COLUMN_AGE;
        break;
    case KEY_UP:
    case KEY_DOWN:
        move_rows(s, key == KEY_DOWN, 1);
        break;
    case KEY_PPAGE:
    case KEY_NPAGE:
        move_rows(s, key == KEY_NPAGE, page);
        break;
    default:
        sort_by_key(s, key);
        break;
    }
    return true;
}

static void watch(struct screen *s, int interval_ms)
{
    bool wanted = true;
    timeout(interval_ms);
    refresh_pages(s);
    while (wanted && !ended) {
        draw(s);
        int key = getch();
        if (key == ERR && !isatty(STDIN_FILENO))
            break; /* the terminal is gone */
        if (key == ERR || key == ' ')
            refresh_pages(s);
        else if (key != KEY_RESIZE)
            wanted = take_key(s, key);
    }
}

static void set_colours(void)
{
    if (!has_colors())
        return;
    start_color();
    use_default_colors();
    init_pair(PAIR_LOW, COLOR_CYAN, -1);
    init_pair(PAIR_MEDIUM, COLOR_YELLOW, -1);
    init_pair(PAIR_CRITICAL, COLOR_RED, -1);
}

int top_screen(enum column by, int interval_ms)
{
    struct screen s = {.by = by};
    struct sigaction action = {.sa_handler = end};
    (void)setlocale(LC_ALL, "");
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal != NULL && tigetstr("cup") == NULL) { /* "dumb": its cursor cannot be moved */
        endwin();
        delscreen(terminal);
        terminal = NULL;
    }
    if (terminal == NULL) {
        cmd_say("top: this terminal is not known (TERM), expected one that curses knows; its "
                "output can be piped: plimsoll top | cat");
        return EXIT_PROBLEM;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    (void)curs_set(0);
    set_colours();
    watch(&s, interval_ms);
    endwin();
    delscreen(terminal);
    pages_free(&s.pages);
    return EXIT_OK;
}
