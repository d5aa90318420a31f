/**
 * What is read of the machine: the forms of the system's files.
 */
import t from 'tap'
import { hostFacts, parseCpuinfo, parseMeminfo, parseOsRelease } from '../../src/agent/host.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('sizes of memory in bytes, numbers as they are', async t => {
  const known = parseMeminfo('MemTotal:  1024 kB\nActive(anon): 2 kB\nHugePages_Total:   3\nbad\n')
  t.same(
    [...known],
    [
      ['MemTotal', 1_048_576],
      ['Active(anon)', 2_048],
      ['HugePages_Total', 3],
    ],
  )
})

t.test('a block for each processor', async t => {
  const block =
    'processor\t: 1\nmodel name\t: Some: CPU\ncpu MHz\t\t: 2.5\ncache size\t: 512 KB\nflags\t: a b\n'
  t.match(parseCpuinfo(`${block}\n${block}\n`), [
    { cpu: 1, modelName: 'Some: CPU', mhz: 2.5, cacheSize: 512, flags: ['a', 'b'] },
    { cpu: 1 },
  ])
  t.same(parseCpuinfo(''), [])
})

t.test('names with and without quotes', async t => {
  const release = parseOsRelease('ID=debian\nVERSION_ID="12"\nNAME="A B"\n')
  t.same([...release.values()], ['debian', '12', 'A B'])
})

t.test('all of it at once', async t => {
  const clock = new FakeClock()
  const facts = await hostFacts(clock)
  t.same(Object.keys(facts), ['Memory', 'CPU', 'Host', 'Disk', 'CollectionTime', 'Errors'])
  t.equal(facts.CollectionTime, clock.wall() * 1e6)
})
