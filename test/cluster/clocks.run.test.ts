/**
 * Servers that tell each other how they are, by clocks that differ, jump and stop.
 */
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Beats } from '../../src/cluster/clocks.run.ts'
import { FakeClock } from '../fake/clock.ts'

/** Servers that reach each other unless they are cut; each has a clock of its own. */
function world(t: Test, names: readonly string[]) {
  const cut = new Set<string>()
  const told: string[] = []
  const clocks = new Map(names.map(name => [name, new FakeClock()]))
  const beats = new Map<string, Beats<string>>()
  for (const name of names) {
    const note = (message: string): void => void told.push(`${name}: ${message}`)
    const made = new Beats<string>({
      clock: clocks.get(name)!,
      log: { ...silentLog, info: note, warn: note, error: note },
      others: () => names.filter(each => each !== name).map(nodeId => ({ nodeId, to: nodeId })),
      own: () => ({ nodeId: name, revision: 7, viewAgeMs: 3, trouble: '' }),
      beat: async (to, word) => {
        if (cut.has(to) || cut.has(name)) throw new Error('cut')
        return beats.get(to)!.take(word)
      },
    })
    beats.set(name, made)
    t.teardown(() => made.stop())
  }
  const advance = async (ms: number): Promise<void> => {
    for (const clock of clocks.values()) await clock.advance(ms)
  }
  const start = (): void => {
    for (const each of beats.values()) each.start()
  }
  const keepers = (): string[] => names.filter(name => beats.get(name)!.mayKeepTime)
  return { cut, told, clocks, beats, advance, start, keepers }
}

t.test('what a server says is known to the others, with its age', async t => {
  const { beats, advance, start, cut } = world(t, ['a', 'b'])
  start()
  await advance(1)
  t.match(beats.get('a')!.reportOf('b'), { nodeId: 'b', revision: 7, viewAgeMs: 3, trouble: '' })
  t.equal(beats.get('a')!.reportOf('c'), undefined)
  cut.add('b')
  await advance(5_000)
  t.ok(beats.get('a')!.reportOf('b')!.saidMsAgo >= 4_000)
  await advance(limits.clockSampleMs)
  t.equal(beats.get('a')!.reportOf('b'), undefined, 'it is forgotten')
})

t.test('a second apart is told, ten end the keeping of time, and right again is right', async t => {
  const { clocks, advance, start, keepers, told } = world(t, ['a', 'b', 'c'])
  start()
  await advance(1)
  t.strictSame([keepers(), told], [['a', 'b', 'c'], []])
  clocks.get('b')!.setWall(1_500)
  await advance(limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'b', 'c'])
  t.strictSame(told, ["b: this server's clock differs from the others'"])
  clocks.get('b')!.setWall(9_000)
  t.strictSame(keepers(), ['a', 'c'], 'at once: what was learnt of the others still holds')
  await advance(limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'c'])
  t.match(told.at(-1), /^b: this server's clock is wrong/)
  clocks.get('b')!.setWall(-10_500)
  await advance(limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'b', 'c'])
  t.match(told.at(-1), /^b: this server's clock is right again/)
})

t.test('a server that is away does not make another one right', async t => {
  const { clocks, advance, start, keepers, cut } = world(t, ['a', 'b', 'c'])
  start()
  await advance(1)
  clocks.get('c')!.setWall(-20_000)
  await advance(limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'b'])
  cut.add('b')
  await advance(10 * limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'b'], 'its clock is remembered')
})

t.test('a pause of the process changes nothing about clocks', async t => {
  const { clocks, advance, start, keepers } = world(t, ['a', 'b', 'c'])
  start()
  await advance(1)
  // Time passes for all, but one of them runs late.
  for (const name of ['a', 'b']) await clocks.get(name)!.advance(30_000)
  await clocks.get('c')!.pause(30_000)
  await advance(limits.serverBeatMs)
  t.strictSame(keepers(), ['a', 'b', 'c'])
})
