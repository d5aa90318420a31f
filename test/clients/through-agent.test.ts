/**
 * The same clients before the agent of another node: what they find on a server they find there.
 * Each file runs once more, with daemons that are agents in front of a server of their own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import t from 'tap'
import { THROUGH } from './daemon.ts'

const FILES = ['dig', 'dig-table', 'nginx', 'npm-consul', 'prometheus', 'python', 'resolvers']

/** Runs a test file; gives the lines of what failed. */
async function faultsOf(file: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--no-warnings', file], {
    env: { ...process.env, [THROUGH]: 'agent' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(child, 'close')
  const faults = said.split('\n').filter(line => /^ *not ok /.test(line))
  return code === 0 ? faults : [...faults, `it ended with ${code}`]
}

/** All of them together, with time for a busy machine. */
t.setTimeout(600_000)

for (const name of FILES) {
  t.test(name, async t => {
    t.strictSame(await faultsOf(path.join(import.meta.dirname, `${name}.test.ts`)), [])
  })
}
