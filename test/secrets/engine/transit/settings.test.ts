/** What holds for all keys of a mount is kept and told. */
import tap from 'tap'
import { openTransit } from './transit.ts'

tap.test('the size of the cache: none, or ten and more', async t => {
  const { post, read } = await openTransit(t)
  t.strictSame((await read('cache-config')).body.data, { size: 0 })
  for (const size of [-1, 1, 9]) {
    const text = 'size must be 0 or a value greater or equal to 10'
    t.match(await post('cache-config', { size }), { status: 400, text })
  }
  t.strictSame((await post('cache-config', { size: 10 })).body.data, { size: 10 })
  t.strictSame((await read('cache-config')).body.data, { size: 10 })
  await post('cache-config')
  t.strictSame((await read('cache-config')).body.data, { size: 0 })
})

tap.test('whether keys are made by encrypting', async t => {
  const { post, read } = await openTransit(t)
  t.strictSame((await read('config/keys')).body.data, { disable_upsert: false })
  t.strictSame((await post('config/keys', { disable_upsert: true })).body.data, {
    disable_upsert: true,
  })
  t.strictSame((await read('config/keys')).body.data, { disable_upsert: true })
  await post('config/keys')
  t.strictSame((await read('config/keys')).body.data, { disable_upsert: false })
})
