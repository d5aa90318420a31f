/** The form of ids. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { isUuid } from '../../src/base/uuid.ts'

t.test('lower-case UUIDs alone', async t => {
  for (let i = 0; i < 20; i++) t.ok(isUuid(randomUUID()))
  t.ok(isUuid('00000000-0000-0000-0000-000000000000'), 'of no version too')
  const id = '0f3c7a52-1111-4222-8333-44445555666a'
  const wrong = [
    ...['', id.slice(1), `${id}0`, ` ${id}`, `${id}\n`, id.replaceAll('-', '')],
    ...[id.toUpperCase(), id.replace('a', 'g'), `{${id}}`, id.replace('-', '_')],
  ]
  for (const text of wrong) t.notOk(isUuid(text), JSON.stringify(text))
})
