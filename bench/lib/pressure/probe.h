/*
 * What an allocating thread sees: the duration of each of its malloc and free calls. Between them
 * it does pieces of work of about the same length that touch no memory: they show what delays the
 * machine itself causes.
 */
#ifndef PRESSURE_PROBE_H
#define PRESSURE_PROBE_H

/* Runs the probing thread, from start to stop. */
void probe_start(void);
void probe_stop(void);
/* Histograms "malloc", "free" and "nothing", and with "_own" the same less the time in which the
 * thread was ready to run and had no CPU. */
void probe_print(void);

#endif
