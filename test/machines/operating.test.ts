/**
 * docs/operating.md, followed word by word on machines of the test's own: each command of its `sh`
 * blocks is typed where its prompt says, and prints what stands under it.
 *
 * Exchanged are the addresses, for those of the test's network, and how long a new member has to be
 * well before it gets a vote; ids, times and sizes are taken out of both texts. A line `…` stands
 * for any lines. `scp` is the test's own, since no machine has a server for it.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { root } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { createNetwork, noNamespaces } from './network.ts'
import { Shell } from './shell.ts'

interface Step {
  /** The machines on which it is typed, one after the other. */
  readonly names: readonly string[]
  command: string
  expected: string
}

const PAGE = path.join(root, 'docs/operating.md')
const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']

const skip = noNamespaces || absent('etcd', 'openssl', 'curl', 'dig')

t.test('docs/operating.md', { skip }, async t => {
  const steps = stepsOf(readFileSync(PAGE, 'utf8'))
  t.ok(steps.length >= 40, `${steps.length} commands`)
  const { machines, testAddress } = createNetwork(t, NAMES.length)
  const subnet = testAddress.replace(/\d+$/, '')
  const here = (text: string): string => text.replaceAll('10.0.0.', subnet)
  const folder = tempFolder(t)
  const shells = new Map(
    machines.map((machine, at) => [NAMES[at]!, new Shell(t, machine, NAMES[at]!, folder)]),
  )
  for (const { names, command, expected } of steps) {
    const isAgent = command.startsWith('gatehouse agent ')
    const typed = await Promise.all(
      names.map(async name => {
        const shell = shells.get(name)!
        // The page shows what the first of several prints.
        const wanted = patternOf(here(expected).replaceAll(`${names[0]} (`, `${name} (`))
        const isWanted = (text: string): boolean => wanted.test(plain(text))
        const found = isAgent
          ? await shell.startAgent(here(command))
          : await shell.typeUntil(here(command), isWanted)
        return { name, wanted, found }
      }),
    )
    for (const { name, wanted, found } of typed) {
      const isRight = t.match(plain(found), wanted, `${name}$ ${command}`)
      // The end of a long run names what failed, and nothing else of it.
      if (!isRight) t.fail(`${name} printed: ${plain(found).slice(0, 300)}`)
      if (!isRight) for (const shell of shells.values()) t.comment(shell.agentSaid)
      // What follows stands on it.
      if (!isRight) return
    }
  }
})

/** The commands of the `sh` blocks; one goes on while a quote or a here-document is open. */
function stepsOf(page: string): Step[] {
  const steps: Step[] = []
  for (const [, block = ''] of page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
    for (const line of block.split('\n')) {
      const [, names, command] = /^([a-z0-9,]+)\$ (.*)$/.exec(line) ?? []
      const last = steps.at(-1)
      if (names !== undefined && command !== undefined) {
        steps.push({ names: names.split(','), command, expected: '' })
      } else if (last !== undefined && isOpen(last.command)) {
        last.command += `\n${line}`
      } else if (last !== undefined) {
        last.expected += `${line}\n`
      }
    }
  }
  return steps
}

function isOpen(command: string): boolean {
  const [, end] = /<<'(\w+)'/.exec(command) ?? []
  if (end !== undefined) return !command.endsWith(`\n${end}`)
  return command.endsWith('\\') || ((command.match(/'/g)?.length ?? 0) & 1) === 1
}

/** What differs by machine and moment, put into one form; spaces and blank lines do not count. */
function plain(text: string): string {
  return text
    .replaceAll(/([0-9A-F]{2}:){31}[0-9A-F]{2}/g, 'HASH')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*( \S+ UTC)?/g, 'TIME')
    .replaceAll(/\d{8}T\d{6}Z/g, 'TIME')
    .replaceAll(/\b\d+(\.\d+)? ?(ms|s|B|KB|KiB|MB|MiB)\b/g, 'AMOUNT')
    .replaceAll(/\b(index|revision is|whole,) \d+/g, '$1 NUMBER')
    .replaceAll(/\/etcd +\d+ +\d+ +\d+ /g, '/etcd NUMBERS ')
    .replaceAll(/(leader|follower) +(true|false) +3 .*/g, 'ROLE $2 3')
    .replaceAll(/\S+\/(data|n\d)\b/g, '$1')
    .replaceAll(/ +/g, ' ')
    .replaceAll(/\s*\n\s*/g, '\n')
    .trim()
}

/** In what the page shows, `…` stands for any lines, or for any words of a line. */
function patternOf(expected: string): RegExp {
  const lines = plain(expected)
    .split('\n')
    .map(line => {
      if (line === '…') return '[\\s\\S]*'
      const quoted = line.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
      return quoted.replaceAll('…', '.*')
    })
  return new RegExp(`^${lines.join('\n')}$`)
}
