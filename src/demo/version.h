/* Which of two Debian package versions is the newer one. */
#ifndef VARVE_DEMO_VERSION_H
#define VARVE_DEMO_VERSION_H

/* Below, equal to or above 0, by Debian Policy 5.6.12: epoch, then upstream version, then revision. */
int version_compare(const char *a, const char *b);

#endif
