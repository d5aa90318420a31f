/**
 * Keys of KV engines: which paths are asked, and what is printed.
 */
import t from 'tap'
import { enveloped, type SecretsServer } from '../../fake/secrets-server.ts'
import { onServer, table } from './support.ts'

const written = {
  version: 2,
  created_time: '2026-01-02T03:04:05Z',
  custom_metadata: null,
  deletion_time: '',
  destroyed: false,
}
const PREFLIGHT = 'GET sys/internal/ui/mounts'

/** Tells of a mount for each of the paths. */
function mount(server: SecretsServer, path: string, version: string | null, ...paths: string[]) {
  const options = version === null ? null : { version }
  for (const each of paths) {
    server.on(`${PREFLIGHT}/${each}`, enveloped({ path, type: 'kv', options }))
  }
}

t.test('get, of a key with versions', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web', 'secret')
  server.on('GET secret/data/web', enveloped({ data: { user: 'ada' }, metadata: written }))
  const shown = await ask('kv get secret/web')
  t.equal(
    shown.out,
    table(`
    = Secret Path =
    secret/data/web

    ======= Metadata =======
    Key                Value
    ---                -----
    created_time       2026-01-02T03:04:05Z
    custom_metadata    <nil>
    deletion_time      n/a
    destroyed          false
    version            2

    ==== Data ====
    Key     Value
    ---     -----
    user    ada
    `),
  )
  t.same(server.taken(), [`${PREFLIGHT}/secret/web`, 'GET secret/data/web'])
  t.equal((await ask('kv get -mount=secret web')).out, shown.out)
  t.same(server.taken(), [`${PREFLIGHT}/secret`, 'GET secret/data/web'])
  t.equal((await ask('kv get -field=user -version=1 /secret/web')).out, 'ada')
  t.same(server.taken().at(-1), 'GET secret/data/web?version=1')
  t.equal((await ask('kv get -field=data -format=json secret/web')).out, '{\n  "user": "ada"\n}')
  const json = await ask('kv get -format=json secret/web')
  t.match(JSON.parse(json.out), { data: { data: { user: 'ada' }, metadata: { version: 2 } } })
  t.match(await ask('kv get -field=none secret/web'), { code: 1, error: 'not present in map' })
})

t.test('get, of a deleted version, of no key, and of an engine without versions', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/gone', 'secret/none')
  const metadata = { ...written, deletion_time: '2026-01-03T00:00:00Z' }
  server.on('GET secret/data/gone', enveloped({ data: null, metadata }), 404)
  const gone = await ask('kv get secret/gone')
  t.match(gone, { code: 0, out: /deletion_time +2026-01-03/ })
  t.notMatch(gone.out, 'Data =')
  t.match(await ask('kv get -field=a secret/gone'), { code: 2, error: 'No data found at' })
  const none = { code: 2, out: '', error: 'No value found at secret/data/none' }
  t.same(await ask('kv get secret/none'), none)
  mount(server, 'old/', null, 'old/web', 'old')
  server.on('GET old/web', enveloped({ user: 'ada' }, { lease_duration: 60 }))
  t.equal(
    (await ask('kv get old/web')).out,
    '==== Data ====\nKey     Value\n---     -----\nuser    ada',
  )
  t.equal((await ask('kv get -mount=old -field=user web')).out, 'ada')
})

t.test('a mount that nobody may see is an error', async t => {
  const { ask, server } = await onServer(t)
  const text = 'preflight capability check returned 403, please ensure'
  server.on(`${PREFLIGHT}/secret/web`, { errors: [text] }, 403)
  t.match(await ask('kv get secret/web'), { code: 2, error: text })
  t.match(await ask('kv put secret/web a=b'), { code: 2, error: text })
  const curl = await ask('kv get -output-curl-string secret/web')
  t.match(curl, { code: 2, error: 'which request this is depends on' })
})

t.test('namespaces and deep mounts', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'team/a/secret/', '2', 'secret/x', 'secret')
  mount(server, 'deep/er/', '2', 'deep/er/x/y', 'deep/er', 'deep/er/x')
  await ask('kv get secret/x')
  await ask('kv list secret')
  await ask('kv get deep/er/x/y')
  await ask('kv get -mount=deep/er/x y')
  t.same(
    server.taken().filter(text => !text.startsWith(PREFLIGHT)),
    [
      'GET secret/data/x',
      'GET secret/metadata?list=true',
      'GET deep/er/data/x/y',
      'GET deep/er/data/x/y',
    ],
  )
})

t.test('put', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web')
  mount(server, 'old/', '1', 'old/web')
  server.on('PUT secret/data/web', enveloped(written))
  server.on('PUT old/web', '', 204)
  const { out } = await ask('kv put -cas=1 secret/web a=b n=-', { stdin: 'x' })
  t.match(out, /^= Secret Path =\nsecret\/data\/web\n\n=+ Metadata =+\nKey +Value\n/)
  t.same(server.asks.at(-1)?.body, { data: { a: 'b', n: 'x' }, options: { cas: 1 } })
  await ask('kv put -cas=0 secret/web a=b')
  t.match(server.asks.at(-1)?.body, { options: { cas: 0 } })
  t.equal((await ask('kv put -field=version secret/web a=b')).out, '2')
  t.same(server.asks.at(-1)?.body, { data: { a: 'b' }, options: {} })
  t.equal((await ask('kv put old/web a=b')).out, 'Success! Data written to: old/web')
  t.same(server.asks.at(-1)?.body, { a: 'b' })
  t.equal((await ask('kv put -format=json old/web a=b')).out, '')
})

t.test('patch, by one request or by two', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/new', 'secret/old')
  server.on('PATCH secret/data/new', enveloped(written))
  await ask('kv patch -cas=4 -remove-data=b secret/new a=1')
  const { body, headers } = server.asks.at(-1) ?? {}
  t.same(body, { data: { a: '1', b: null }, options: { cas: 4 } })
  t.equal(headers?.['content-type'], 'application/merge-patch+json')
  server.on('PATCH secret/data/old', { errors: ['permission denied'] }, 403)
  const data = { keep: 'k', a: '0', b: 'x' }
  server.on('GET secret/data/old', enveloped({ data, metadata: { ...written, version: 7 } }))
  server.on('PUT secret/data/old', enveloped({ ...written, version: 8 }))
  const { code, error } = await ask('kv patch -remove-data=b secret/old a=1')
  t.equal(code, 0)
  t.match(error, 'the capability "patch"')
  t.same(server.asks.at(-1)?.body, { data: { keep: 'k', a: '1' }, options: { cas: 7 } })
  t.match(await ask('kv patch -method=patch secret/old a=1'), { code: 2, error: 'Code: 403' })
  await ask('kv patch -method=rw secret/old a=2')
  t.same(server.asks.at(-1)?.body, { data: { ...data, a: '2' }, options: { cas: 7 } })
  t.match(await ask('kv patch -method=x secret/old a=2'), { code: 2, error: 'Unsupported method' })
})

t.test('delete, undelete, destroy', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web')
  mount(server, 'old/', '1', 'old/web')
  server.on('DELETE secret/data/web', '', 204)
  server.on('DELETE old/web', '', 204)
  for (const verb of ['delete', 'undelete', 'destroy']) server.on(`PUT secret/${verb}/web`, '', 204)
  const done = 'Success! Data deleted (if it existed) at:'
  t.equal((await ask('kv delete secret/web')).out, `${done} secret/data/web`)
  t.equal((await ask('kv delete old/web')).out, `${done} old/web`)
  t.equal((await ask('kv delete -versions=1,2 secret/web')).out, `${done} secret/data/web`)
  t.same(server.asks.at(-1)?.body, { versions: ['1', '2'] })
  for (const verb of ['undelete', 'destroy']) {
    const { out } = await ask(`kv ${verb} -versions=1 -versions=2 secret/web`)
    t.equal(out, `Success! Data written to: secret/${verb}/web`)
    t.same(server.asks.at(-1)?.body, { versions: ['1', '2'] })
  }
  t.match(await ask('kv undelete -versions=1 old/web'), {
    code: 1,
    error: 'Undelete not supported on KV Version 1',
  })
  t.match(await ask('kv destroy -versions=1 old/web'), { code: 1, error: 'Destroy not supported' })
})

t.test('list and scan', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret', 'secret/team')
  mount(server, 'old/', null, 'old/team')
  server.on('GET secret/metadata', enveloped({ keys: ['web', 'team/'] }))
  server.on('GET old/team', enveloped({ keys: ['a'] }))
  t.equal((await ask('kv list secret/')).out, 'Keys\n----\nteam/\nweb')
  t.equal((await ask('kv list -mount=secret')).out, 'Keys\n----\nteam/\nweb')
  t.equal((await ask('kv list old/team')).out, 'Keys\n----\na')
  t.match(await ask('kv list secret/team'), {
    code: 2,
    error: 'No value found at secret/metadata/team',
  })
  server.taken()
  await ask('kv scan secret')
  t.same(server.taken().at(-1), 'GET secret/metadata?scan=true')
})

t.test('rollback', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web', 'secret/gone', 'secret/none')
  const newest = { data: null, metadata: { ...written, version: 5 } }
  server.on('GET secret/data/web', enveloped(newest), 404)
  server.on('GET secret/data/web', enveloped({ data: { a: 'old' }, metadata: written }))
  server.on('PUT secret/data/web', enveloped({ ...written, version: 6 }))
  const { code, out } = await ask('kv rollback -version=2 secret/web')
  t.equal(code, 0)
  t.match(out, /version +6$/)
  t.same(server.asks.at(-1)?.body, { data: { a: 'old' }, options: { cas: 5 } })
  const metadata = { ...written, deletion_time: '2026-01-03T00:00:00Z' }
  server.on('GET secret/data/gone', enveloped({ data: { a: 1 }, metadata: written }))
  server.on('GET secret/data/gone', enveloped({ data: null, metadata }), 404)
  t.match(await ask('kv rollback -version=1 secret/gone'), { code: 2, error: 'has been deleted' })
  t.match(await ask('kv rollback -version=1 secret/none'), { code: 2, error: 'No value found' })
})

t.test('versions are turned on', async t => {
  const { ask, server } = await onServer(t)
  server.on('POST sys/mounts/old/tune', '', 204)
  const { out } = await ask('kv enable-versioning old')
  t.equal(out, 'Success! Tuned the secrets engine at: old/')
  t.same(server.asks.at(-1)?.body, { options: { version: '2' } })
})

t.test('metadata', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web')
  mount(server, 'old/', '1', 'old/web')
  const version = { created_time: 'c', deletion_time: '', destroyed: false }
  const data = {
    cas_required: false,
    current_version: 10,
    custom_metadata: { owner: 'ada' },
    delete_version_after: '0s',
    max_versions: 0,
    versions: { 10: version, 9: { ...version, destroyed: true } },
  }
  server.on('GET secret/metadata/web', enveloped(data))
  t.equal(
    (await ask('kv metadata get secret/web')).out,
    table(`
    == Metadata Path ==
    secret/metadata/web

    ========== Metadata ==========
    Key                     Value
    ---                     -----
    cas_required            false
    current_version         10
    custom_metadata         map[owner:ada]
    delete_version_after    0s
    max_versions            0

    ====== Version 9 ======
    Key              Value
    ---              -----
    created_time     c
    deletion_time    n/a
    destroyed        true

    ===== Version 10 =====
    Key              Value
    ---              -----
    created_time     c
    deletion_time    n/a
    destroyed        false
    `),
  )
  server.on('PUT secret/metadata/web', '', 204)
  server.on('PATCH secret/metadata/web', '', 204)
  server.on('DELETE secret/metadata/web', '', 204)
  const flags = '-max-versions=3 -cas-required -delete-version-after=1d -custom-metadata=a=b'
  const put = await ask(`kv metadata put ${flags} secret/web`)
  t.equal(put.out, 'Success! Data written to: secret/metadata/web')
  const settings = { max_versions: 3, cas_required: true, delete_version_after: '86400s' }
  t.same(server.asks.at(-1)?.body, { ...settings, custom_metadata: { a: 'b' } })
  await ask('kv metadata put secret/web')
  t.same(server.asks.at(-1)?.body, {})
  await ask('kv metadata patch -remove-custom-metadata=a -cas-required=false secret/web')
  t.same(server.asks.at(-1)?.body, { cas_required: false, custom_metadata: { a: null } })
  const removed = await ask('kv metadata delete secret/web')
  t.match(removed.out, 'Success! Data deleted (if it existed) at: secret/metadata/web')
  t.match(await ask('kv metadata get old/web'), { code: 1, error: 'Metadata not supported' })
})

t.test('move, copy and search', async t => {
  const { ask, server } = await onServer(t)
  mount(server, 'secret/', '2', 'secret/web', 'secret', 'secret/team')
  mount(server, 'old/', '1', 'old/web')
  server.on('PUT secret/move/web', '', 204)
  server.on('PUT secret/copy/web', '', 204)
  const key_info = { web: { current_version: 2 } }
  server.on('GET secret/search', enveloped({ keys: ['web'], key_info }))
  const moved = await ask('kv move secret/web secret/team/web')
  t.equal(moved.out, 'Success! Moved secret/web to secret/team/web')
  t.strictSame(server.asks.at(-1)?.body, { destination: 'team/web', overwrite: false })
  const copied = await ask('kv copy -overwrite -mount=secret web /new/')
  t.equal(copied.out, 'Success! Copied secret/web to secret/new')
  t.strictSame(server.asks.at(-1)?.body, { destination: 'new', overwrite: true })
  t.match(await ask('kv move secret/web other/web'), { code: 1, error: 'TO must be in the same' })
  t.match(await ask('kv copy old/web old/x'), { code: 2, error: 'must be version 2 for copy' })
  server.taken()
  t.equal((await ask('kv search -key=w secret/team')).out, 'Keys\n----\nweb')
  await ask('kv search -custom-metadata=a=b -custom-metadata=c=* -after=x -limit=2 -mount=secret')
  t.same(
    server.taken().filter(text => !text.startsWith(PREFLIGHT)),
    [
      'GET secret/search?prefix=team&key=w',
      'GET secret/search?custom_metadata=a%3Db&custom_metadata=c%3D*&after=x&limit=2',
    ],
  )
  const detailed = await ask('kv search -detailed secret')
  t.equal(detailed.out, 'Keys    current_version\n----    ---------------\nweb     2')
  t.match(await ask('kv search'), { code: 1, error: 'Not enough arguments' })
})
