/* Text without stdio: edges of what is printed and of what is accepted. */
#include "fmt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(fmt, text_is_cut_at_the_buffer_and_stays_ended)
{
    char buf[8];
    struct fmt f = FMT_INIT(buf);
    fmt_str(&f, "abcd");
    fmt_str(&f, "efghij");
    cr_expect_str_eq(buf, "abcdefg");
    cr_expect_eq(f.len, 7u);
    fmt_str(&f, "x");
    fmt_u64(&f, 12);
    cr_expect_str_eq(buf, "abcdefg");
}

Test(fmt, buffer_of_one_byte_holds_the_empty_string)
{
    char buf[2] = {'?', '!'};
    struct fmt f = {.buf = buf, .cap = 1};
    fmt_str(&f, "abc");
    fmt_bytes(&f, 5 * MiB);
    cr_expect_eq(f.len, 0u);
    cr_expect_eq(buf[0], '\0');
    cr_expect_eq(buf[1], '!', "nothing is written behind the buffer");
}

Test(fmt, strn_takes_bytes_without_an_end)
{
    char buf[16];
    struct fmt f = FMT_INIT(buf);
    fmt_strn(&f, "abcdef", 3);
    fmt_strn(&f, "", 0);
    fmt_strn(&f, "gh", 2);
    cr_expect_str_eq(buf, "abcgh");
}

static const char *printed_u64(uint64_t v)
{
    static char buf[32];
    struct fmt f = FMT_INIT(buf);
    fmt_u64(&f, v);
    return buf;
}

static const char *printed_i64(int64_t v)
{
    static char buf[32];
    struct fmt f = FMT_INIT(buf);
    fmt_i64(&f, v);
    return buf;
}

Test(fmt, numbers_print_at_their_limits)
{
    cr_expect_str_eq(printed_u64(0), "0");
    cr_expect_str_eq(printed_u64(9), "9");
    cr_expect_str_eq(printed_u64(10), "10");
    cr_expect_str_eq(printed_u64(UINT64_MAX), "18446744073709551615");
    cr_expect_str_eq(printed_i64(0), "0");
    cr_expect_str_eq(printed_i64(-1), "-1");
    cr_expect_str_eq(printed_i64(INT64_MAX), "9223372036854775807");
    cr_expect_str_eq(printed_i64(INT64_MIN), "-9223372036854775808");
}

static const char *printed_bytes(uint64_t bytes)
{
    static char buf[32];
    struct fmt f = FMT_INIT(buf);
    fmt_bytes(&f, bytes);
    return buf;
}

Test(fmt, bytes_print_in_the_largest_unit_that_fits)
{
    cr_expect_str_eq(printed_bytes(0), "0 B");
    cr_expect_str_eq(printed_bytes(1023), "1023 B");
    cr_expect_str_eq(printed_bytes(1024), "1.0 KiB");
    cr_expect_str_eq(printed_bytes(1536), "1.5 KiB");
    cr_expect_str_eq(printed_bytes(MiB - 1), "1.0 MiB");
    cr_expect_str_eq(printed_bytes(MiB - 51), "1.0 MiB");
    cr_expect_str_eq(printed_bytes(MiB - 52), "1023.9 KiB");
    cr_expect_str_eq(printed_bytes(64 * MiB * 9 / 10), "57.6 MiB");
    cr_expect_str_eq(printed_bytes(GiB * 9 / 10), "921.6 MiB");
    cr_expect_str_eq(printed_bytes(250 * 1000 * 1000), "238.4 MiB");
    cr_expect_str_eq(printed_bytes(GiB), "1.0 GiB");
    cr_expect_str_eq(printed_bytes(2048 * GiB), "2.0 TiB");
    cr_expect_str_eq(printed_bytes(UINT64_MAX - 1), "16777216.0 TiB");
    cr_expect_str_eq(printed_bytes(UNLIMITED), "unlimited");
}

Test(fmt, u64_parses_up_to_64_bits_and_stops_behind_the_digits)
{
    uint64_t v = 7;
    const char *end;
    cr_expect_eq(fmt_parse_u64("18446744073709551615", &end, &v), 0);
    cr_expect_eq(v, UINT64_MAX);
    cr_expect_eq(*end, '\0');
    cr_expect_eq(fmt_parse_u64("0042 rest", &end, &v), 0);
    cr_expect_eq(v, 42u);
    cr_expect_str_eq(end, " rest");
    cr_expect_eq(fmt_parse_u64("5", NULL, &v), 0);
    cr_expect_eq(v, 5u);
}

Test(fmt, u64_failures_leave_the_results_alone)
{
    static const char *const bad[] = {"", "x", " 1", "-1", "+1", ".5"};
    const char *end = "untouched";
    uint64_t v = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(fmt_parse_u64(bad[i], &end, &v), -EINVAL, "%s", bad[i]);
    cr_expect_eq(fmt_parse_u64("18446744073709551616", &end, &v), -ERANGE);
    cr_expect_eq(fmt_parse_u64("99999999999999999999999999", &end, &v), -ERANGE);
    cr_expect_eq(v, 7u);
    cr_expect_str_eq(end, "untouched");
}

static uint64_t size_of(const char *text)
{
    uint64_t v = 0;
    int rc = fmt_parse_size(text, &v);
    cr_expect_eq(rc, 0, "%s: %d", text, rc);
    return v;
}

Test(fmt, size_takes_all_units_with_and_without_b)
{
    cr_expect_eq(size_of("0"), 0u);
    cr_expect_eq(size_of("123"), 123u);
    cr_expect_eq(size_of("123B"), 123u);
    cr_expect_eq(size_of("1K"), 1000u);
    cr_expect_eq(size_of("1KB"), 1000u);
    cr_expect_eq(size_of("1Ki"), 1024u);
    cr_expect_eq(size_of("1KiB"), 1024u);
    cr_expect_eq(size_of("3M"), 3000000u);
    cr_expect_eq(size_of("512MiB"), 512 * MiB);
    cr_expect_eq(size_of("2G"), 2000000000u);
    cr_expect_eq(size_of("1T"), 1000000000000u);
    cr_expect_eq(size_of("1Ti"), 1024 * GiB);
}

Test(fmt, size_takes_fractions_to_the_thousandth)
{
    cr_expect_eq(size_of("1.5Gi"), GiB + GiB / 2);
    cr_expect_eq(size_of("0.001M"), 1000u);
    cr_expect_eq(size_of("1.2349K"), 1234u, "further decimals are dropped");
    cr_expect_eq(size_of("1.9"), 1u);
    cr_expect_eq(size_of("2.000000000000000000000000000001K"), 2000u);
}

Test(fmt, size_reaches_the_end_of_64_bits)
{
    uint64_t v;
    cr_expect_eq(size_of("18446744073709551615"), UINT64_MAX);
    cr_expect_eq(size_of("18446744073709551615B"), UINT64_MAX);
    cr_expect_eq(size_of("16777215Ti"), 16777215 * (1024 * GiB));
    cr_expect_eq(fmt_parse_size("16777216Ti", &v), -ERANGE);
    cr_expect_eq(fmt_parse_size("18446744073709551615K", &v), -ERANGE);
    cr_expect_eq(fmt_parse_size("18446744073709551616", &v), -ERANGE);
}

Test(fmt, size_refuses_what_is_not_a_size)
{
    static const char *const bad[] = {"",    "K",    "-1",  "1 K",  "1k",   "1.K",   "1..5K", "1KK",
                                      "1iB", "1Kib", "1BB", "0x10", "1e9M", "1KiBB", "1 ",    "Mi"};
    uint64_t v = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(fmt_parse_size(bad[i], &v), -EINVAL, "%s", bad[i]);
    cr_expect_eq(v, 7u);
}

Test(fmt, percent_is_in_thousandths_of_a_percent)
{
    uint64_t v;
    cr_expect_eq(fmt_parse_percent("90%", &v), 0);
    cr_expect_eq(v, 90000u);
    cr_expect_eq(fmt_parse_percent("0.5%", &v), 0);
    cr_expect_eq(v, 500u);
    cr_expect_eq(fmt_parse_percent("33.3339%", &v), 0);
    cr_expect_eq(v, 33333u);
}

Test(fmt, percent_refuses_what_is_not_one)
{
    static const char *const bad[] = {"", "%", "90", "90 %", "90%%", "-1%", ".5%", "5.%", "5%x"};
    uint64_t v = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(fmt_parse_percent(bad[i], &v), -EINVAL, "%s", bad[i]);
    cr_expect_eq(fmt_parse_percent("18446744073709551615%", &v), -ERANGE);
    cr_expect_eq(v, 7u);
}

Test(fmt, keys_are_found_at_the_start_of_lines_and_whole)
{
    static const char *const keys[] = {"cache", "MemTotal", "gone", "large"};
    uint64_t values[] = {1, 1, 1, 1};
    unsigned found =
        fmt_scan_keys("inactive_cache 7\ncache 5\nMemTotal:   123 kB\nMemTotals: 9\nMem 8\n"
                      "x gone 3\ngone\nlarge 99999999999999999999",
                      keys, values, 4);
    cr_expect_eq(found, 1u << 0 | 1u << 1 | 1u << 3);
    cr_expect_eq(values[0], 5);
    cr_expect_eq(values[1], 123);
    cr_expect_eq(values[2], 1);
    cr_expect_eq(values[3], UNLIMITED);
    cr_expect_eq(fmt_scan_keys("", keys, values, 4), 0u);
}

Test(fmt, field_of_a_stat_line_is_counted_behind_whatever_the_name_holds)
{
    uint64_t value = 1;
    const char *line = "12 (a) b) 4) S 1 22 333 4444 -1 66";
    cr_expect_eq(fmt_stat_field(line, 4, &value), 0);
    cr_expect_eq(value, 1);
    cr_expect_eq(fmt_stat_field(line, 6, &value), 0);
    cr_expect_eq(value, 333);
    cr_expect_eq(fmt_stat_field(line, 9, &value), 0);
    cr_expect_eq(value, 66);
    cr_expect_eq(fmt_stat_field(line, 8, &value), -EBADMSG, "no number");
    cr_expect_eq(fmt_stat_field(line, 10, &value), -EBADMSG);
    cr_expect_eq(fmt_stat_field("", 4, &value), -EBADMSG);
    cr_expect_eq(value, 66, "as it was");
}
