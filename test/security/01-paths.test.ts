/**
 * Class 1: a path that one part of the program reads otherwise than another: `.` and `..` segments,
 * escapes, escapes of escapes, backslashes, overlong UTF-8, absolute targets (CVE-2026-3605). What
 * is authorised is what is executed, byte for byte, on every path that has an open part; and what
 * the configuration blocks is blocked in every spelling that reaches a handler.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ANONYMOUS_ACCESSOR, type Lack, type Who } from '../../src/base/who.ts'
import { cleanPath } from '../../src/http/path.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { declaredPaths } from '../http/declared.ts'
import { type Face, startFace } from '../http/harness.ts'
import { authorityOf, ruledBy } from '../http/principals.ts'
import { connectRaw } from '../http/wire.ts'
import { propertyRuns, reached } from '../run/budget.ts'

/** Ways to write "up, then down to what is secret" behind `pub/`. */
const CLIMBS = [
  ...['../secret', './../secret', '..//secret', '%2e%2e/secret', '%2E%2E/secret', '.%2e/secret'],
  ...['%2e./secret', '..%2fsecret', '..%2Fsecret', '%2e%2e%2fsecret', '%252e%252e/secret'],
  ...['%252e%252e%252fsecret', '..%252fsecret', '%25252e%25252e/secret', '..\\secret'],
  ...['..%5csecret', '%2e%2e%5csecret', '..%255csecret', '%c0%ae%c0%ae/secret'],
  ...['%c0%ae%c0%ae%c0%afsecret', '%e0%80%ae%e0%80%ae/secret', '%f0%80%80%ae./secret'],
  ...['..%c0%afsecret', '..%c1%9csecret', '%uff0e%uff0e/secret', '..%u2215secret'],
  ...[
    '%ef%bc%8e%ef%bc%8e/secret',
    '..%e2%88%95secret',
    '..;/secret',
    '..%3b/secret',
    '..%00/secret',
  ],
  ...['..%09/secret', '..%20/secret', '.../secret', '....//secret', '..%0d%0a/secret'],
  ...['x/../../secret', 'x/%2e%2e/%2e%2e/secret', '%2f..%2fsecret', '/%2e%2e/secret', '..?/secret'],
  ...['..%3f/secret', '..%23/secret', '%2e%2e', '..', '.', '%2e', '~2e~2e/secret', '*', '%2a'],
]

/** What an open part says, told apart from the program: each escape once; undefined for none. */
function once(raw: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(raw)) return undefined
  const bytes = raw.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly text: string
}

/** Sends a target as it is written, which no client would do. */
async function send(
  t: Test,
  face: Face,
  method: string,
  target: string,
  body = '',
): Promise<Answer> {
  const connection = await connectRaw(t, face)
  const head = `Host: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  connection.write(Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}`, 'latin1'))
  const text = await connection.answered()
  connection.socket.destroy()
  const location = /^location: (.*)$/im.exec(text)?.[1]
  return { status: Number(text.slice(9, 12)), location, text }
}

/** Somebody who may nothing, and what he was asked for. */
function nobody() {
  const asked: string[] = []
  const lacks: Lack[] = []
  const who: Who = {
    accessor: ANONYMOUS_ACCESSOR,
    rights: 'none',
    may({ name }) {
      asked.push(name)
      return false
    },
  }
  return {
    asked,
    lacks,
    authority: { ...authorityOf({ '': who }), note: (lack: Lack) => void lacks.push(lack) },
  }
}

const open = declaredPaths.flatMap(({ path, operations }) => {
  const part = /\{\w+\}/.exec(path)
  if (part === null) return []
  const prefix = path.slice(0, part.index)
  const suffix = path.slice(part.index + part[0].length).replace(/\{\w+\}/, 'n')
  return Object.keys(operations).map(method => ({ method, path, prefix, suffix }))
})

t.test('attack: every mount × every climb is refused, sent on, or one name to all', async t => {
  const { asked, lacks, authority } = nobody()
  const face = await startFace(t, { authority, hasConditions: true })
  t.ok(open.length > 60, `${open.length} operations`)
  t.ok(CLIMBS.length >= 40, `${CLIMBS.length} climbs`)
  const wrong: string[] = []
  const statuses = new Map<number, number>()
  for (const { method, prefix, suffix } of open) {
    await Promise.all(
      CLIMBS.map(async climb => {
        const target = `${prefix}pub/${climb}${suffix}`
        const { status, location, text } = await send(t, face, method, target)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        const [path = ''] = target.split('?', 1)
        const isUnclean = /\/\/|\/\.\.?(\/|$)/.test(path)
        const clean = cleanPath(path).replaceAll('\\', '%5C')
        const goesOn = status === 307 && location?.split('?', 1)[0] === clean
        if (text.includes('internal error')) wrong.push(`${method} ${target}: ${status}`)
        else if (isUnclean !== goesOn) wrong.push(`${method} ${target}: ${status} ${location}`)
      }),
    )
  }
  reached('targets that climb', open.length * CLIMBS.length)
  t.comment(JSON.stringify([...statuses]))
  t.strictSame(wrong, [])
  // Each name that anybody was asked about is one that was sent, its escapes taken once.
  const names = new Set(CLIMBS.flatMap(climb => once(`pub/${climb}`.split('?', 1)[0]!) ?? []))
  const isSent = (name: string): boolean =>
    [...names].some(sent => sent === name || sent.endsWith(`/${name}`) || sent.startsWith(name))
  t.ok(lacks.length > 300, `${lacks.length} refusals`)
  t.strictSame(
    [...new Set(lacks.map(({ name }) => name))].filter(name => !names.has(name)),
    [],
  )
  t.strictSame(
    [...new Set(asked)].filter(name => !isSent(name) && !FIXED.has(name)),
    [],
  )
})

/** Names that paths ask about whatever their open part says. */
const FIXED = new Set(['', 'alpha'])

t.test('attack: keys: who may one prefix never gets, nor sets, what lies beside it', async t => {
  const pub = ruledBy('key_prefix "pub/" { policy = "write" }')
  const all = ruledBy('key_prefix "" { policy = "write" }')
  const face = await startFace(t, { authority: authorityOf({ '': pub, all }), takesAnyKey: true })
  await face.client.as('all').raw('PUT', '/v1/kv/secret', 'the secret')
  const before = face.store.view().get(kv, 'secret')
  for (const climb of CLIMBS) {
    for (const start of ['pub/', '', 'pub/%2e%2e/', 'x/../', '%70ub/', 'pub%2f', 'pub//', 'PUB/']) {
      const target = `/v1/kv/${start}${climb}`
      const { text } = await send(t, face, 'GET', `${target}${target.includes('?') ? '' : '?raw'}`)
      if (text.includes('the secret')) t.fail(`GET ${target}`)
      await send(t, face, 'PUT', target, 'overwritten')
      await send(t, face, 'DELETE', `${target}?recurse`)
    }
  }
  t.equal(face.store.view().get(kv, 'secret'), before, 'it is as it was')
  for (const { key } of face.store.view().entries(kv)) {
    if (key !== 'secret' && !key.startsWith('pub/')) t.fail(`wrote ${JSON.stringify(key)}`)
  }
})

t.test('near miss: dots and escapes that mean themselves', async t => {
  const face = await startFace(t)
  for (const key of [
    'a..b',
    '..a',
    'a/...',
    'a/.b',
    'a%2fb',
    'a%25',
    '~2e',
    'a+b',
    'a%2Bb',
    'a;b=c',
  ]) {
    t.equal((await send(t, face, 'PUT', `/v1/kv/${key}`, 'x')).status, 200, key)
    t.ok(face.store.view().get(kv, Buffer.from(once(key)!).toString('latin1')), key)
  }
  t.equal((await send(t, face, 'GET', '/v1/kv/a..b?raw')).status, 200)
  t.equal((await send(t, face, 'GET', 'http://x/v1/kv/a..b?raw')).status, 200, 'an absolute target')
  t.equal((await send(t, face, 'GET', 'HTTPS://user@x:1/v1/kv/a..b')).status, 200)
  t.equal((await send(t, face, 'GET', 'http://x?a=b')).status, 200, 'of no path')
})

t.test('attack: what is blocked is blocked in every spelling', async t => {
  const face = await startFace(t, { blockEndpoints: ['/v1/agent/self', '/v1/kv/secret'] })
  for (const target of [
    ...[
      '/v1/agent/self',
      '/v1/agent/self?x',
      '/v1/agent/%73elf',
      '/v1/kv/secret',
      '/v1/kv/%73ecret',
    ],
    ...['http://x/v1/agent/self', 'HTTP://x/v1/agent/self', 'https://x:1/v1/kv/secret?raw'],
  ]) {
    const { status, text } = await send(t, face, 'GET', target)
    t.equal(status, 403, target)
    t.match(text, 'Endpoint is blocked by agent configuration')
  }
  for (const target of [
    ...['/v1/agent/self#', '/v1/agent/self#x', '#/v1/agent/self', '/x#/../v1/agent/self'],
    ...['v1/agent/self', 'x:/v1/agent/self', 'http:/v1/agent/self', 'ftp://x/v1/agent/self'],
  ]) {
    t.equal((await send(t, face, 'GET', target)).status, 400, target)
  }
  for (const target of [
    ...['/v1/./agent/self', '/v1//agent/self', '//v1/agent/self', '/v1/x/../agent/self'],
    ...['http://x//v1/agent/self', '/V1/agent/self', '/v1/agent/self/', '/v1/agent\\self'],
    ...['/v1%2fagent%2fself', '/v1/agent%2fself', '/v1/agent/self;x', '/v1/agent/self%00'],
  ]) {
    const { status } = await send(t, face, 'GET', target)
    t.ok([307, 400, 403, 404].includes(status), `${target}: ${status}`)
  }
  t.equal((await send(t, face, 'GET', '/v1/agent/version')).status, 200, 'near miss: the rest')
})

t.test('attack: a redirect leads nowhere else', async t => {
  const face = await startFace(t)
  for (const target of [
    ...['//evil.example/', '///evil.example', '/..//evil.example', '/.//evil.example/..'],
    ...[
      '/./\\evil.example',
      '/..\\/..//\\evil.example',
      '//\\evil.example',
      '/v1/kv//\\\\evil.example',
    ],
    ...['http://x//evil.example', '/./https://evil.example', '/%2f/../evil.example'],
  ]) {
    const { status, location = '' } = await send(t, face, 'GET', target)
    if (status !== 307) continue
    t.equal(
      new URL(location, 'http://here.example/').host,
      'here.example',
      `${target}: ${location}`,
    )
  }
})

t.test('generated: any path is refused, or one name to router, access and handler', async t => {
  const seen: string[] = []
  const authority = authorityOf({
    '': {
      ...{ accessor: ANONYMOUS_ACCESSOR, rights: 'all' },
      may: ({ resource, name }) => {
        if (resource === 'key') seen.push(name)
        return true
      },
    },
  })
  const face = await startFace(t, { authority, takesAnyKey: true, takesUnprintable: true })
  const piece = fc.oneof(
    fc.constantFrom('/', '..', '.', '%2e', '%2E', '%2f', '%25', '%252f', '\\', '%5c', '%00', '%0a'),
    fc.constantFrom(
      '%c0%ae',
      '%ff',
      '%c3%a9',
      '%',
      '%z',
      ';',
      '+',
      '~',
      '*',
      ':',
      '{key}',
      'kv',
      'v1',
    ),
    fc.stringMatching(/^[!-"$->@-~]{1,3}$/),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async pieces => {
      seen.length = 0
      const raw = `a${pieces.join('')}`
      const { status } = await send(t, face, 'PUT', `/v1/kv/${raw}`, 'x')
      const stored = [...face.store.view().entries(kv)].map(({ key }) => key)
      const made = once(raw)
      if (status !== 200) return seen.length === 0
      const keys = [...new Set(seen)]
      const bytes = raw.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
      return keys.length === 1 && keys[0] === made && stored.includes(bytes)
    }),
    { numRuns: propertyRuns() },
  )
})
