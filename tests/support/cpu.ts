/** The processor time of a piece of work: unlike a clock, it does not count what other programs on the machine do. */
export function cpuMs(work: () => void, tries = 5): number {
  const times = Array.from({ length: tries }, () => {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}
