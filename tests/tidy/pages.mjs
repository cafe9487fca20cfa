// What pages say of the tree is true of the tree: links lead somewhere, files and limits that are named exist, and a folder's README lists
// only files that it has. What happened once may name what is gone: decisions, the changelog and the dated pages are read for links only.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const FOLDERS = ['messages', 'runtime', 'actors', 'adapters', 'tests', 'bench', 'deploy', 'docs', 'cmake'];
const DATED = /^(CHANGELOG\.md|docs\/decisions\/.*|docs\/performance\.md|docs\/benchmarks\.md)$/;
const PATH_OF_OURS = new RegExp(`^(?:${FOLDERS.join('|')})/[A-Za-z0-9_./-]+$`);
const FILE = /^[\w./-]+\.(?:c|h|def|mjs|sh|md|lua)$/;
const PLACEHOLDER = /NAME|NNNN|AREA|VENDOR/;

function pagesBelow(root, folder) {
  const pages = [];
  const waiting = [folder];
  while (waiting.length > 0) {
    const at = waiting.pop();
    for (const entry of readdirSync(path.join(root, at), { withFileTypes: true })) {
      const name = path.join(at, entry.name);
      if (entry.isDirectory() && entry.name !== 'node_modules') waiting.push(name);
      else if (entry.isFile() && entry.name.endsWith('.md')) pages.push(name);
    }
  }
  return pages.sort();
}

function checkLinks(root, page, line, index, report) {
  for (const [, target] of line.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    if (!existsSync(path.join(root, path.dirname(page), target))) report(page, index, `links to ${target}, which does not exist`);
  }
}

function checkNames(root, page, line, index, limits, report) {
  for (const [, code] of line.matchAll(/`([^`]+)`/g)) {
    if (PATH_OF_OURS.test(code) && !PLACEHOLDER.test(code) && !existsSync(path.join(root, code))) {
      report(page, index, `names ${code}, which does not exist`);
    }
    for (const [limit] of code.matchAll(/\bLIMIT_[A-Z0-9_]+/g)) {
      if (!limits.includes(limit)) report(page, index, `names ${limit}, which runtime/limits.h does not have`);
    }
  }
}

// `| \`a.c\` \`b.c\` | what they do |` in the README of a folder.
function checkList(root, page, line, index, report) {
  const [, cell] = /^\|([^|]*)\|/.exec(line) ?? [];
  if (cell === undefined || path.basename(page) !== 'README.md' || page === 'README.md') return;
  for (const [, code] of cell.matchAll(/`([^`]+)`/g)) {
    const places = [path.dirname(page), 'actors', ''].map((folder) => path.join(root, folder, code));
    if (FILE.test(code) && !PLACEHOLDER.test(code) && !places.some((place) => existsSync(place))) {
      report(page, index, `lists ${code}, which the folder does not have`);
    }
  }
}

export function checkPages(root, report) {
  const limitsFile = path.join(root, 'runtime/limits.h');
  const limits = existsSync(limitsFile) ? [...readFileSync(limitsFile, 'utf8').matchAll(/\bLIMIT_[A-Z0-9_]+/g)].map(([name]) => name) : [];
  const atRoot = ['README.md', 'CHANGELOG.md'].filter((name) => existsSync(path.join(root, name)));
  const pages = [...atRoot, ...FOLDERS.filter((folder) => existsSync(path.join(root, folder))).flatMap((folder) => pagesBelow(root, folder))];
  for (const page of pages) {
    readFileSync(path.join(root, page), 'utf8').split('\n').forEach((line, index) => {
      checkLinks(root, page, line, index, report);
      if (DATED.test(page)) return;
      checkNames(root, page, line, index, limits, report);
      checkList(root, page, line, index, report);
    });
  }
}
