/**
 * Machines of a test's own: network namespaces joined by one switch, reachable from the test.
 *
 * Owns the namespaces, their addresses (a subnet by the test's process id, so that two files do not
 * meet) and the faults of their links. A cut loses packets silently, in one direction each, as a
 * broken cable does: the sender's frames go to a hardware address that nobody has. Needs root; see
 * `noNamespaces`. Everything goes with the test, and what a killed run left goes at the next one.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import type { Test } from 'tap'

/** One machine: programs run in it by the words that `inside` gives. */
export interface Machine {
  readonly name: string
  readonly address: string
  /** The command line of a program that is to run on this machine. */
  inside(program: string, words?: readonly string[]): readonly [string, readonly string[]]
}

export interface Network {
  readonly machines: readonly Machine[]
  /** The address of the test itself, on the same switch. */
  readonly testAddress: string
  /** Loses everything that `from` sends to `to`, from now on. */
  cut(from: Machine, to: Machine): void
  /** Loses everything between the two groups, in both directions. */
  part(some: readonly Machine[], others: readonly Machine[]): void
  /** Mends all cuts. */
  heal(): void
}

/** Why namespaces cannot be had here, for tap's `skip`; false where they can. */
export const noNamespaces: string | false =
  (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/usr/sbin/ip')) &&
  'network namespaces need root and iproute2'

const NOBODY = '02:00:00:00:ff:ff'
const NAMESPACES = '/var/run/netns'
/** Networks that this process made: what is deleted goes a little later, so no name comes twice. */
let networks = 0

/** Makes a switch and that many machines; they are gone with the test. */
export function createNetwork(t: Test, count: number): Network {
  sweepOld()
  networks++
  const tag = `gh${process.pid}-${networks}`
  const subnet = `10.${64 + (process.pid % 64)}.${((process.pid >> 6) + networks * 16) % 256}`
  const lanOf = `${tag}-lan`
  const made: string[] = []
  t.teardown(() => {
    for (const name of made.reverse()) ip('netns', 'del', name)
  })
  const makeNamespace = (name: string): void => {
    ip('netns', 'add', name)
    made.push(name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  makeNamespace(lanOf)
  ip('-n', lanOf, 'link', 'add', 'lan', 'type', 'bridge')
  ip('-n', lanOf, 'link', 'set', 'lan', 'up')
  const plug = (
    end: string,
    namespace: string | undefined,
    address: string,
    port: string,
  ): void => {
    const there = namespace === undefined ? [] : ['-n', namespace]
    const where = namespace === undefined ? '1' : namespace
    ip('-n', lanOf, 'link', 'add', port, 'type', 'veth', 'peer', 'name', end, 'netns', where)
    ip('-n', lanOf, 'link', 'set', port, 'master', 'lan', 'up')
    ip(...there, 'addr', 'add', `${address}/24`, 'dev', end)
    ip(...there, 'link', 'set', end, 'up')
  }
  const testAddress = `${subnet}.254`
  plug(tag, undefined, testAddress, 'test')
  t.teardown(() => ip('link', 'del', tag))
  const machines = Array.from({ length: count }, (_, at): Machine => {
    const [name, address] = [`${tag}-${at + 1}`, `${subnet}.${at + 1}`]
    makeNamespace(name)
    plug('eth0', name, address, `m${at + 1}`)
    return {
      name,
      address,
      inside: (program, words = []) => ['ip', ['netns', 'exec', name, program, ...words]],
    }
  })
  const cuts = new Set<string>()
  const cut = (from: Machine, to: Machine): void => {
    cuts.add(`${from.name} ${to.address}`)
    const link = ['lladdr', NOBODY, 'dev', 'eth0', 'nud', 'permanent']
    ip('-n', from.name, 'neigh', 'replace', to.address, ...link)
  }
  return {
    machines,
    testAddress,
    cut,
    part(some, others) {
      for (const one of some) {
        for (const other of others) {
          cut(one, other)
          cut(other, one)
        }
      }
    },
    heal() {
      for (const one of cuts) {
        const [name = '', address = ''] = one.split(' ')
        ip('-n', name, 'neigh', 'del', address, 'dev', 'eth0')
      }
      cuts.clear()
    },
  }
}

/** Namespaces of test processes that are no more. */
function sweepOld(): void {
  if (!existsSync(NAMESPACES)) return
  for (const name of readdirSync(NAMESPACES)) {
    const pid = /^gh(\d+)-/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) ip('netns', 'del', name)
  }
}

function ip(...words: string[]): void {
  const { status, stderr, error } = spawnSync('ip', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${error?.message ?? stderr}`)
}
