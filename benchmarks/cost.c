/* cost FD COMMAND…: runs it, waits for it, writes what it cost to FD in a line:
 *
 *     wall seconds, CPU seconds (user and kernel), most resident KiB, exit code
 *
 * A process inherits the largest resident size of what it was before execve(2) (fs/exec.c,
 * setmax_mm_hiwater_rss), so that a small program run by Python would seem as large as Python.
 * Run by this one, it is as large as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
	struct timespec begun, ended;
	struct rusage cost;
	int status, to;

	if (argc < 3)
		return 2;
	to = atoi(argv[1]);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	pid_t child = fork();
	if (child < 0)
		return perror("fork"), 1;
	if (!child) {
		close(to);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (wait4(child, &status, 0, &cost) != child)
		return perror("wait4"), 1;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	dprintf(to, "%.6f %.6f %ld %d\n",
		ended.tv_sec - begun.tv_sec + (ended.tv_nsec - begun.tv_nsec) / 1e9,
		seconds(cost.ru_utime) + seconds(cost.ru_stime), cost.ru_maxrss,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
