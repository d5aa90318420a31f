/**
 * The beginning of docs/feeds.md, followed word by word with curl: what it shows is what comes, and
 * the last id goes on where it was.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { root, startDaemon } from './daemon.ts'
import { launch, until } from './process.ts'

/** The blocks of code under the first heading. */
const page = readFileSync(path.join(root, 'docs/feeds.md'), 'utf8')
const section = page.slice(page.indexOf('## Follow something'), page.indexOf('## Topics'))
const blocks = [...section.matchAll(/^```\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text.trim())

/** Numbers and ids differ. */
const plain = (text: string): string =>
  text
    .replaceAll(/^id: \S+/gm, 'id: ID')
    .replaceAll(/"(revision|CreateIndex|ModifyIndex)":\d+/g, '"$1":N')
    .trim()

t.test('docs/feeds.md', { skip: absent('curl') }, async t => {
  const [follow = '', change = '', shown = '', beat = '', again = ''] = blocks
  t.match(follow, /^curl -N localhost:8500/)
  const daemon = await startDaemon(t, { engine: 'memory' })
  /** A command as it stands there, on the port of this test; nothing in it needs a shell. */
  const curl = (t: Test, line: string) => {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!)
    const here = words.map(word => word.replace('localhost:8500', `127.0.0.1:${daemon.httpPort}`))
    return launch(t, clientFile('curl'), ['-sS', ...here.slice(1)])
  }
  const first = curl(t, follow)
  await until('the snapshot', () => first.stdout().includes('event: snapshot'))
  for (const line of change.split('\n')) t.equal(await curl(t, line).ended, 0, line)
  await until('the heartbeat', () => first.stdout().includes('event: heartbeat'))
  const told = first.stdout()
  const wanted = [shown, beat].map(plain).join('\n\n')
  t.equal(plain(told).slice(0, wanted.length), wanted)
  const [id = ''] = /(?<=^id: )\S+/m.exec(told) ?? []
  // What came and went since is not told, what is there is.
  const [put = ''] = change.split('\n')
  t.equal(await curl(t, put).ended, 0, put)
  const second = curl(t, again.replace(/AQ[\w-]+/, id))
  await until('what it missed', () => second.stdout().includes('event: delta'))
  const [missed = ''] = /^data: .*/m.exec(second.stdout()) ?? []
  t.match(missed, /"upserts":\[\{"key":"app\/greeting",.*\],"deletes":\[\]/)
})
