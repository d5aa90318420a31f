import t from 'tap'
import { aliasCheck } from '../../src/checks/alias.ts'
import type { CheckDefinition, CheckRow, CheckStatus } from '../../src/store/tables/check.ts'
import { checks } from '../../src/store/tables/check.ts'
import { fold, onNode } from '../../src/store/tables/names.ts'
import { nodes } from '../../src/store/tables/node.ts'
import type { Reader } from '../../src/store/view.ts'

type Given = readonly [node: string, serviceId: string, checkId: string, status: CheckStatus]

/** A view of these services (`node/id`) and checks, on nodes that are known. */
function viewOf(known: readonly string[], given: readonly Given[]): Reader {
  const rows = given.map(
    ([node, serviceId, checkId, status]) =>
      ({ node, serviceId, checkId, status, name: checkId, output: `${checkId}!` }) as CheckRow,
  )
  const keys = known.map(name => {
    const [node = '', id] = name.split('/')
    return id === undefined ? `n ${fold(node)}` : `s ${onNode(node, id)}`
  })
  return {
    get: (table: unknown, key: string) =>
      keys.includes(`${table === nodes ? 'n' : 's'} ${key}`) ? {} : undefined,
    find: (table: unknown, _index: string, key: string) =>
      table === checks
        ? rows.filter(row => onNode(row.node, row.serviceId) === key).map(row => ({ row }))
        : [],
  } as unknown as Reader
}

const read = (view: Reader, definition: CheckDefinition): string => {
  const { status, output } = aliasCheck.mirror!.read(view, definition, {
    node: 'here',
    checkId: 'self',
  })
  return `${status} ${output}`
}

t.test('the worst of the target, with its name and output', async t => {
  const rows: [Given[], string][] = [
    [[], 'passing No checks found.'],
    [[['here', 'web', 'a', 'passing']], 'passing All checks passing.'],
    [
      [
        ['here', 'web', 'a', 'warning'],
        ['here', 'web', 'b', 'passing'],
      ],
      'warning Aliased check "a" failing: a!',
    ],
    [
      [
        ['here', 'web', 'a', 'warning'],
        ['here', 'web', 'b', 'critical'],
        ['here', 'web', 'c', 'critical'],
      ],
      'critical Aliased check "b" failing: b!',
    ],
    [
      [
        ['here', '', 'node', 'critical'],
        ['here', 'web', 'a', 'passing'],
      ],
      'critical Aliased check "node" failing: node!',
    ],
    [
      [
        ['here', 'db', 'a', 'critical'],
        ['there', 'web', 'b', 'critical'],
        ['here', 'web', 'self', 'critical'],
      ],
      'passing No checks found.',
    ],
  ]
  for (const [given, said] of rows) {
    t.equal(read(viewOf(['here/web'], given), { aliasService: 'web' }), said)
  }
})

t.test('who is not there', async t => {
  const view = viewOf(['here/web', 'there'], [['there', '', 'a', 'warning']])
  t.equal(read(view, { aliasService: 'no' }), 'critical Service no could not be found on node ')
  t.equal(
    read(view, { aliasNode: 'there', aliasService: 'web' }),
    'critical Service web could not be found on node there',
  )
  t.equal(read(view, { aliasNode: 'gone' }), 'critical Service  could not be found on node gone')
  t.equal(read(view, { aliasNode: 'THERE' }), 'warning Aliased check "a" failing: a!')
})

t.test('whom it follows', async t => {
  const { target } = aliasCheck.mirror!
  t.same(target({ aliasService: 'web' }, 'here'), { node: 'here', serviceId: 'web' })
  t.same(target({ aliasNode: 'there' }, 'here'), { node: 'there', serviceId: '' })
})
