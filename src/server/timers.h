/* What happens by the clock: expiry, client time-outs, samples for INFO, the end of a pause, memory limits. */
#ifndef VARVE_SERVER_TIMERS_H
#define VARVE_SERVER_TIMERS_H

struct loop;
void timers_start(struct loop *l); /* while the loop is made */
void timers_pause(struct loop *l); /* arms the timer for the end of CLIENT PAUSE; on the loop's thread */

#endif
