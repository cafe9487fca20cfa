// The processes of a service as /proc shows them: who they are, and what memory, descriptors and threads they take.
import { readFileSync, readdirSync } from 'node:fs';

const PAGE = 4096;

function children(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function named(pid) {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const at = words.indexOf('--name');
    return at < 0 ? null : words[at + 1];
  } catch {
    return null;
  }
}

// [{ name, pid }] of the roles below a supervisor, a role that hands over and its successor both. One that has not
// come as far as its own program is left out.
export function roleProcesses(supervisor) {
  return children(supervisor).map((pid) => ({ pid, name: named(pid) })).filter((role) => role.name !== null);
}

// What one process takes now; null when it is gone. `pss` costs the kernel a walk of its memory: only when asked.
export function measure(pid, { pss = false } = {}) {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number);
    const numbers = { rss: resident * PAGE, own: (resident - shared) * PAGE, descriptors: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length };
    if (pss) numbers.pss = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
    return numbers;
  } catch {
    return null;
  }
}

// Least squares through [x, y]: what y grows by per unit of x. 0 for less than three points.
export function slope(points) {
  if (points.length < 3) return 0;
  const mean = (of) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread;
}

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
