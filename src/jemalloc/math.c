/*
 * log, exp and round for jemalloc's profiler, so that the library does not need libm.
 *
 * The profiler draws sampling intervals and scales counts with them; about 12 digits are far more
 * than it uses. Finite arguments only; log is called with positive arguments only.
 */
double plim_je_log(double x);
double plim_je_exp(double x);
double plim_je_round(double x);

static const double ln2 = 0.693147180559945309417;

/* x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m-1)/(m+1)). */
double plim_je_log(double x)
{
    union {
        double d;
        unsigned long long bits;
    } v = {.d = x};
    if (!(x > 0))
        return -1e308;
    int e = (int)(v.bits >> 52) - 1022;
    v.bits = (v.bits & 0x000fffffffffffffULL) | 0x3fe0000000000000ULL;
    double m = v.d; /* [0.5, 1) */
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double t = (m - 1) / (m + 1), t2 = t * t, sum = 0;
    for (int k = 27; k >= 1; k -= 2)
        sum = sum * t2 + 1.0 / k;
    return 2 * t * sum + e * ln2;
}

/* exp x = 2^k * exp r, |r| <= ln2 / 2. */
double plim_je_exp(double x)
{
    if (x < -700)
        return 0;
    if (x > 700)
        x = 700;
    int k = (int)plim_je_round(x / ln2);
    double r = x - k * ln2, sum = 1;
    for (int i = 16; i >= 1; i--)
        sum = 1 + sum * r / i;
    union {
        unsigned long long bits;
        double d;
    } scale = {.bits = (unsigned long long)(k + 1023) << 52};
    return sum * scale.d;
}

double plim_je_round(double x)
{
    if (!(x > -4503599627370496.0 && x < 4503599627370496.0))
        return x; /* 2^52 and above are whole numbers already */
    return (double)(long long)(x < 0 ? x - 0.5 : x + 0.5);
}
