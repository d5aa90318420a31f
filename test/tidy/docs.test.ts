/**
 * The pages say what the code does: made pages are up to date, links lead somewhere, every
 * dependency and every decision has its line, and the scripts that the pages name exist.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { madePages } from './pages.ts'
import { filesOf, none, root, textOf } from './source.ts'

const manifest = JSON.parse(textOf('package.json'))
const lock = JSON.parse(textOf('package-lock.json'))
const pages = filesOf('{*,docs/**/*}.md')

t.test('pages made from the sources are up to date (npm run format writes them)', async t => {
  for (const [file, text] of madePages()) t.equal(textOf(file), text, file)
})

t.test('links between pages and into the sources lead somewhere', async t => {
  for (const page of pages) {
    const links = [...textOf(page).matchAll(/\]\((?!\w+:)([^)#\s]+)(#[^)]*)?\)/g)]
    const targets = links.map(([, link = '']) => path.join(path.dirname(page), link))
    none(
      t,
      targets.filter(target => !existsSync(path.join(root, target))).map(to => `${page}: ${to}`),
    )
  }
})

t.test('npm scripts that the pages name exist', async t => {
  const named = pages.flatMap(page =>
    [...textOf(page).matchAll(/\bnpm run (?:-\w+ )?([\w:-]+)/g)].map(([, script = '']) => script),
  )
  none(
    t,
    named.filter(script => !(script in manifest.scripts)),
  )
})

t.test('every dependency has its reason in a decision, and no other', async t => {
  const rows = [...textOf('docs/decisions/0002-dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)]
  const explained = rows.map(([, name]) => name)
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
  t.same(explained.sort(), declared.sort())
})

t.test('dependencies are exact, and the lock file names no host', async t => {
  const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })
  for (const version of versions) t.match(version, /^\d+\.\d+\.\d+$/)
  none(
    t,
    Object.keys(lock.packages).filter(name => 'resolved' in lock.packages[name]),
  )
})

t.test('every install script was approved by name, and no approval is left over', async t => {
  const scripted = Object.entries<{ hasInstallScript?: boolean }>(lock.packages)
    .filter(([, entry]) => entry.hasInstallScript)
    .map(([name]) => name.split('node_modules/').at(-1))
  t.same([...new Set(scripted)].sort(), Object.keys(manifest.allowScripts).sort())
})

t.test('decisions are numbered without gaps', async t => {
  const numbers = filesOf('docs/decisions/*.md').map(file =>
    Number(path.basename(file).slice(0, 4)),
  )
  t.same(
    numbers,
    numbers.map((_, index) => index + 1),
  )
})
