/**
 * Follows keys and a service, and prints what happens to them, a line of JSON each.
 *
 *     node examples/follow.ts <prefix> <service> <server>...
 *
 * It offers a service itself (`follower`) for as long as it runs. docs/client.md goes through it.
 */
import { connect } from 'gatehouse/client'

const [prefix = 'app/', service = 'follower', ...servers] = process.argv.slice(2)
const client = connect({ servers: servers.length > 0 ? servers : ['127.0.0.1:8502'] })
const print = (line: object): void => console.log(JSON.stringify(line))

// Live local views: they are kept by the servers, and cost no request to look at.
const keys = client.follow('kv', prefix)
const instances = client.lookup(service)
for (const view of [keys, instances]) {
  view.on('live', () => print({ live: view.server, revision: view.revision }))
  view.on('stale', problem => print({ stale: problem?.message }))
}
instances.on('change', ({ kind, key }) => print({ instance: key, kind }))
await Promise.all([keys.ready(), instances.ready()])

// Registered until the client is closed; where this process dies instead, its TTL runs out.
const own = await client.register({ name: 'follower', address: '127.0.0.1', port: 9 })
print({ registered: own.id })

// Stopping says what was known last, and gives back what was taken.
process.once('SIGTERM', async () => {
  print({ view: Object.fromEntries([...keys.items].map(([key, { revision }]) => [key, revision])) })
  print({ instances: instances.instances().map(({ id }) => id) })
  await client.close()
})

// First all that is there, then each change, once. Ends when the client is closed.
for await (const { kind, key, revision, value } of keys) {
  print({ kind, key, revision, value: value?.value.toString() })
}
