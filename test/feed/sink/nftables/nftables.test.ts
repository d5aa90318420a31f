/** Sets of nftables: what is asked of nft, and the real one in a network of the test's own. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type NftWanted, nftablesSink } from '../../../../src/feed/sink/nftables/nftables.ts'
import { elementsIn, scriptOf } from '../../../../src/feed/sink/nftables/target.run.ts'
import { launch, outputOf, tempFolder, until } from '../../../clients/process.ts'
import { absent, clientFile } from '../../../run/clients.ts'
import { type Given, stateOf } from '../health.ts'
import { Driver, realPorts, settingsOf, wantedOf } from '../world.ts'

const usual = { table: 'filter', set4: 'web4', set6: 'web6' }

/** The sets that a state asks for. */
function sets(list: readonly Given[], given: Record<string, unknown> = {}) {
  const values = settingsOf(nftablesSink, { ...usual, ...given })
  const wanted = wantedOf(nftablesSink, values, stateOf({ web: list }))
  return { sets: (wanted.what as NftWanted).sets, problems: wanted.problems }
}

const four = { id: 'a', address: '10.0.0.1' }
const six = { id: 'b', address: '2001:DB8:0::1', port: 443 }

t.test('addresses, with ports or without', async t => {
  const list = [
    four,
    six,
    { ...four, id: 'c' },
    { id: 'd', address: '10.0.0.4', status: 'critical' },
  ]
  t.same(sets(list).sets, [
    { name: 'inet filter web4', elements: ['10.0.0.1'] },
    { name: 'inet filter web6', elements: ['2001:db8::1'] },
  ])
  t.same(sets([four, six], { elements: 'address_port', family: 'ip' }).sets, [
    { name: 'ip filter web4', elements: ['10.0.0.1 . 80'] },
    { name: 'ip filter web6', elements: ['2001:db8::1 . 443'] },
  ])
  const odd = [{ id: 'x', address: 'web.example' }, { ...four, port: 0 }, six]
  t.match(sets(odd, { elements: 'address_port', set6: undefined }), {
    sets: [{ elements: [] }],
    problems: [/no usable/, /"a".*with a port/, /"b".*no set of IPv6/, /"x".*no IP address/],
  })
})

t.test('settings', async t => {
  t.throws(() => settingsOf(nftablesSink, { table: 'x' }), /set4: is missing/)
  t.throws(() => settingsOf(nftablesSink, { table: 'x; y', set4: 'a' }), /no name/)
  t.throws(() => settingsOf(nftablesSink, { ...usual, set6: 'a }' }), /no name/)
  t.throws(() => settingsOf(nftablesSink, { ...usual, command: [] }), /no program/)
})

t.test('whatever is registered, the script is of our form', async t => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('10.0.0.1 }; flush ruleset', '10.0.0.0/8', '10.0.0.1-10.0.0.9', '@set', '$x'),
    fc.ipV4(),
    fc.ipV6(),
  )
  const instance: fc.Arbitrary<Given> = fc.record({
    id: text.filter(id => id !== ''),
    address: text,
    nodeAddress: text,
    port: fc.integer({ min: -1, max: 70_000 }),
  })
  fc.assert(
    fc.property(fc.array(instance, { maxLength: 6 }), fc.boolean(), (list, isWithPort) => {
      const elements = isWithPort ? 'address_port' : 'address'
      const script = scriptOf(sets(list, { elements }).sets)
      const element = '[0-9a-f:.]+( \\. \\d{1,5})?'
      const set = 'inet filter web[46]'
      const line = `flush set ${set}|add element ${set} \\{ ${element}(, ${element})* \\}`
      t.match(script, new RegExp(`^((${line})\\n)+$`))
    }),
  )
})

t.test('a long set is several lines of one transaction', async t => {
  const elements = Array.from({ length: 1_001 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
  const lines = scriptOf([{ name: 'ip a b', elements }]).split('\n')
  t.same(
    lines.map(line => line.slice(0, 11)),
    ['flush set i', 'add element', 'add element', 'add element', ''],
  )
})

t.test('what nft prints of a set', async t => {
  const of = (elem: unknown) =>
    elementsIn(JSON.stringify({ nftables: [{ metainfo: {} }, { set: { elem } }] }))
  t.same(of(undefined), new Set())
  t.same(
    of([
      '10.0.0.1',
      { concat: ['10.0.0.2', 80] },
      { elem: { val: '10.0.0.3', timeout: 9 } },
      { prefix: { addr: '10.1.0.0', len: 16 } },
      { range: ['10.2.0.1', '10.2.0.9'] },
    ]),
    new Set(['10.0.0.1', '10.0.0.2 . 80', '10.0.0.3', '10.1.0.0/16', '10.2.0.1-10.2.0.9']),
  )
  t.match(elementsIn('table x'), { message: /as JSON/ })
  t.match(elementsIn('{"nftables":[]}'), { message: /does not show/ })
})

/** A program in nft's place: it notes what it reads, and refuses `bad`. */
function fakeNft(t: Test) {
  const folder = tempFolder(t)
  const file = path.join(folder, 'nft')
  const log = path.join(folder, 'log')
  const listing = path.join(folder, 'listing')
  writeFileSync(listing, '{"nftables":[{"set":{"elem":["10.0.0.9"]}}]}')
  writeFileSync(
    file,
    `#!/bin/sh
case "$*" in
  *list*) cat ${listing} ;;
  *)
    echo "nft $*" >>${log}
    tee -a ${log} | grep -q 10.6.6.6 || exit 0
    echo no such thing >&2
    exit 1
    ;;
esac`,
  )
  chmodSync(file, 0o755)
  return { file, log: () => (existsSync(log) ? readFileSync(log, 'utf8') : '') }
}

t.test('the script is checked, then applied; what is refused is not applied', async t => {
  const nft = fakeNft(t)
  const given = { table: 'filter', set4: 'web4', command: [nft.file] }
  const driver = new Driver(nftablesSink, given, realPorts(t))
  t.same((await driver.plan(stateOf({ web: [four] }))).changes, [
    '+ inet filter web4 10.0.0.1',
    '- inet filter web4 10.0.0.9',
  ])
  t.equal(nft.log(), '', 'a plan changes nothing')
  await driver.apply(stateOf({ web: [four] }))
  const script = 'flush set inet filter web4\nadd element inet filter web4 { 10.0.0.1 }\n'
  t.equal(nft.log(), `nft -c -f -\n${script}nft -f -\n${script}`)
  t.same((await driver.apply(stateOf({ web: [{ address: '10.0.0.9' }] }))).changes, [])
  const refused = await driver.try(stateOf({ web: [{ address: '10.6.6.6' }] }))
  t.match(refused, { text: /ended with 1: no such thing/, target: 'as it was' })
  t.notMatch(nft.log().slice(-90), /nft -f -/)
  const keeping = new Driver(nftablesSink, { ...given, on_empty: 'keep' }, realPorts(t))
  t.match(await keeping.apply(stateOf({ web: [] })), {
    changes: [],
    problems: [/kept as they are/],
  })
})

/** Why there can be no network of the test's own with a packet filter in it. */
function noNetwork(): string | false {
  if (absent('nft')) return absent('nft')
  const words = ['-n', clientFile('nft'), 'list', 'ruleset']
  const { status, stderr } = spawnSync('/usr/bin/unshare', words, { encoding: 'utf8' })
  return status !== 0 && `no packet filter in a network of its own: ${stderr}`
}

t.test('the real nft', { skip: noNetwork() }, async t => {
  const holder = launch(t, '/usr/bin/unshare', ['-n', 'sleep', '600'])
  const own = (file: string) => readFileSync(file, 'utf8').trim()
  await until('it has a network of its own', () => own(`/proc/${holder.pid}/comm`) === 'sleep')
  const inside = ['/usr/bin/nsenter', `--net=/proc/${holder.pid}/ns/net`, clientFile('nft')]
  const nft = (...words: string[]) => outputOf(t, inside[0] ?? '', [...inside.slice(1), ...words])
  await nft('add', 'table', 'inet', 'filter')
  await nft('add', 'set', 'inet', 'filter', 'web4', '{ type ipv4_addr . inet_service; }')
  await nft('add', 'set', 'inet', 'filter', 'web6', '{ type ipv6_addr . inet_service; }')
  const given = { ...usual, elements: 'address_port', command: inside }
  const driver = new Driver(nftablesSink, given, realPorts(t))
  const listed = async (set: string) => {
    const found = elementsIn(await nft('-j', '-n', 'list', 'set', 'inet', 'filter', set))
    return found instanceof Error ? found.message : [...found].sort()
  }
  await driver.apply(stateOf({ web: [four, six] }))
  t.same([await listed('web4'), await listed('web6')], [['10.0.0.1 . 80'], ['2001:db8::1 . 443']])
  t.same((await driver.apply(stateOf({ web: [four, six] }))).changes, [])

  // What somebody emptied is filled again.
  await nft('flush', 'set', 'inet', 'filter', 'web4')
  t.same((await driver.apply(stateOf({ web: [four, six] }))).changes, [
    '+ inet filter web4 10.0.0.1 . 80',
  ])
  const many = Array.from({ length: 1_200 }, (_, i) => ({
    id: `${i}`,
    address: `10.1.${i >> 8}.${i & 255}`,
  }))
  await driver.apply(stateOf({ web: many }))
  t.equal((await listed('web4')).length, 1_200)
  await driver.apply(stateOf({ web: [{ ...four, status: 'critical' }] }))
  t.same([await listed('web4'), await listed('web6')], [[], []])

  // What nft refuses leaves all as it was.
  await driver.apply(stateOf({ web: [four] }))
  const wrong = new Driver(nftablesSink, { ...given, elements: 'address' }, realPorts(t))
  t.match(await wrong.try(stateOf({ web: [four] })), {
    text: /invalid data type/,
    target: 'as it was',
  })
  t.same(await listed('web4'), ['10.0.0.1 . 80'])
  const none = new Driver(nftablesSink, { ...given, set4: 'nobody' }, realPorts(t))
  t.match(await none.try(stateOf({ web: [four] })), { text: /No such file/ })
})
