/**
 * The verbs below `acl condition`, against a real agent under default deny.
 */
import t from 'tap'
import { call, fakeAgent, realAgent } from '../support.ts'

const ROOT = 'aaaaaaaa-0000-4000-8000-000000000001'
const tokens = `tokens { initial_management = "${ROOT}" }`
const acl = `acl { enabled = true default_policy = "deny" ${tokens} }`
const { environment: nobody } = await realAgent(t, [`-hcl=${acl}`])
const environment = { ...nobody, CONSUL_HTTP_TOKEN: ROOT }
const ask = (line: string | string[], stdin = '') => call(line, { environment, stdin })

const EXPRESSION = 'request.body_size < 3\n  && request.name != "web/x"'
const BY_DAY = `Name:         by-day
Description:  small ones
Level:        advisory
Enabled:      true
Operations:
   session
   service "web:api"
   key, prefix "web/"
Expression:
   request.body_size < 3
     && request.name != "web/x"`

t.test('created from text, file and stdin; read, listed, deleted', async t => {
  const folder = t.testdir({ 'small.cel': `${EXPRESSION}\n` })
  const made = await ask([
    ...['acl', 'condition', 'create', '-name=by-day', '-description=small ones'],
    ...['-level=advisory', `-expression=@${folder}/small.cel`, '-operation=session'],
    ...['-operation=service:web:api', '-operation-prefix=key:web/'],
  ])
  t.same(made, { code: 0, error: '', out: BY_DAY })
  t.same(await ask('acl condition read -name=By-Day'), { code: 0, error: '', out: BY_DAY })
  const meta = await ask('acl condition read -name=by-day -meta')
  t.match(meta.out, /\nEnabled: {6}true\nCreate Index: \d+\nModify Index: \d+\nOperations:\n/)
  const other = 'acl condition create -name=off -level=hard-mandatory -operation=key -disabled'
  const off = await ask(`${other} -expression=- -format=json`, 'false')
  t.same(JSON.parse(off.out), {
    Name: 'off',
    Description: '',
    Expression: 'false',
    Level: 'hard-mandatory',
    Operations: [{ Resource: 'key' }],
    Enabled: false,
  })
  t.equal((await ask('kv put a b')).code, 0, 'one that is disabled governs nothing')
  const [, ...rest] = BY_DAY.split('\n')
  const entry = `by-day:\n${rest.map(line => `   ${line}`).join('\n')}\noff:\n   Description:  \n`
  t.equal((await ask('acl condition list')).out.slice(0, entry.length), entry)
  const listed = JSON.parse((await ask('acl condition list -format=json')).out)
  t.match(listed, [
    { Name: 'by-day', Expression: `${EXPRESSION}\n`, Operations: { length: 3 } },
    { Name: 'off', Enabled: false },
  ])
  for (const name of ['by-day', 'off']) {
    t.same(await ask(`acl condition delete -name=${name}`), {
      code: 0,
      error: '',
      out: `Condition "${name}" deleted successfully`,
    })
  }
  t.same(await ask('acl condition list'), { code: 0, error: '', out: '' })
})

t.test('updated: what is not given stays, and one that is there is not created anew', async t => {
  const create = 'acl condition create -name=no -level=advisory -expression=false -operation=key'
  await ask(create)
  t.same(await ask(create.replace('=no', '=NO')), {
    code: 1,
    out: '',
    error: 'Failed to create new condition: condition "NO" exists already; it can be updated',
  })
  const raised = await ask('acl condition update -name=NO -level=hard-mandatory -format=json')
  t.match(JSON.parse(raised.out), {
    Name: 'no',
    Expression: 'false',
    Level: 'hard-mandatory',
    Operations: [{ Resource: 'key' }],
    Enabled: true,
  })
  t.match(await ask('kv put a b'), { code: 1, error: 'condition "no" (hard-mandatory) does not' })
  const narrowed = await ask(
    'acl condition update -name=no -operation-prefix=key:x/ -description=d -format=json',
  )
  t.match(JSON.parse(narrowed.out), {
    Description: 'd',
    Level: 'hard-mandatory',
    Operations: [{ Resource: 'key', Prefix: 'x/' }],
  })
  t.equal((await ask('kv put a b')).code, 0)
  t.equal((await ask('kv put x/a b')).code, 1)
  t.match((await ask('acl condition update -name=no -disabled')).out, 'Enabled:      false\n')
  t.equal((await ask('kv put x/a b')).code, 0)
  const still = await ask('acl condition update -name=no -description=e')
  t.match(still.out, 'Description:  e\nLevel:        hard-mandatory\nEnabled:      false\n')
  const on = await ask('acl condition update -name=no -disabled=false')
  t.match(on.out, 'Enabled:      true\n')
  t.equal((await ask('acl condition delete -name=no')).code, 0)
})

t.test('what cannot be', async t => {
  const create = 'acl condition create -name=x -level=advisory'
  const refused: Record<string, string> = {
    'acl condition create': "Missing required '-name' flag",
    'acl condition create -name=x': "Missing required '-level' flag",
    [create]: "Missing required '-expression' flag",
    [`${create} -expression=true`]: 'without -operation or -operation-prefix',
    [`${create} -expression=true -operation-prefix=key`]: 'must be RESOURCE:PREFIX',
    [`${create} -expression=@/none/such -operation=key`]: 'Failed to read file: ENOENT',
    [`${create} -expression=nonsense -operation=key`]: 'Expression, line 1, column 1: ',
    [`${create} -expression=true -operation=kye`]: 'Resource of an operation should be one of: acl',
    [`${create} -expression=true -operation=key:`]: 'a Name or Prefix of an operation is empty',
    [`${create} -expression=true -operation=acl:x`]: 'the resource acl has no names',
    'acl condition create -name=x -level=firm': 'level',
    'acl condition read': 'Must specify the -name parameter',
    'acl condition read -name=none': 'Error reading condition: Unexpected response code: 404',
    'acl condition update': 'Cannot update a condition without specifying the -name parameter',
    'acl condition update -name=none': 'Error updating condition: Unexpected response code: 404',
    'acl condition delete': 'Must specify the -name parameter',
    'acl condition delete -name=none': 'Error deleting condition: Unexpected response code: 404',
  }
  for (const [line, error] of Object.entries(refused)) {
    const { code, out, error: said } = await ask(line)
    t.same([code, out, said.includes(error)], [1, '', true], `${line}: ${said}`)
  }
  t.same((await ask('acl condition list')).out, '', 'nothing of that was written')
  t.match(await call(`${create} -expression=true -operation=key`, { environment: nobody }), {
    code: 1,
    error: /^Failed to create new condition: Unexpected response code: 403 \(Permission denied/,
  })
})

t.test('a new one is never written over what is there', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer('fault', 500)
  const line = 'acl condition create -name=x -level=advisory -expression=true -operation=key'
  t.match(await call(`${line} -http-addr=${agent.address}`), {
    code: 1,
    error: 'code: 500 (fault)',
  })
  t.same(
    agent.asked.map(({ method, url }) => `${method} ${url}`),
    ['PUT /v1/acl/condition/x?cas=0'],
  )
})
