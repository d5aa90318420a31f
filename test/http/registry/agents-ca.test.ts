/** The paths of the agents' CA and of join tokens: secrets are shown once, keys never. */
import t from 'tap'
import { startFace } from '../harness.ts'

const TOKEN = /^[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/
const TOKENS = '/v1/operator/join-tokens'

t.test('join tokens: made, listed, rotated, revoked, removed', async t => {
  const { client } = await startFace(t)
  const wish = { Kind: 'server', Description: 'the fourth', MaxUses: 1, TTL: '24h' }
  const made = (await client.put('/v1/operator/join-token', wish)).json
  t.match(made, { Kind: 'server', Description: 'the fourth', Uses: 0, MaxUses: 1, Token: TOKEN })
  t.equal(made.Token.split('.')[0], made.ID)
  t.equal(Date.parse(made.ExpirationTime) - Date.parse(made.CreateTime), 86_400_000)
  const one = `/v1/operator/join-token/${made.ID}`
  for (const url of [TOKENS, one]) {
    const { text } = await client.get(url)
    t.ok(text.includes(made.ID))
    t.notMatch(text, made.Token.split('.')[1], 'the secret is shown once')
    t.notMatch(text, /sealed|Token/)
  }
  const rotated = (await client.put(`${one}/rotate`, undefined)).json
  t.match(rotated, { ID: made.ID, Token: TOKEN })
  t.not(rotated.Token, made.Token)
  t.equal((await client.delete(one)).text, 'true')
  t.match((await client.get(one)).json, { Revoked: true })
  t.equal((await client.put(`${one}/rotate`, undefined)).status, 400)
  t.equal((await client.delete(one)).text, 'true')
  t.equal((await client.get(one)).status, 404)
  t.same((await client.get(TOKENS)).json, [])
})

t.test('a token for clients unless it says otherwise', async t => {
  const { client } = await startFace(t)
  const made = (await client.put('/v1/operator/join-token', {})).json
  t.match(made, { Kind: 'client', MaxUses: 0 })
  t.equal('ExpirationTime' in made, false)
})

t.test('what is wrong with a wish', async t => {
  const { client } = await startFace(t)
  const wrong = [{ Kind: 'king' }, { MaxUses: -1 }, { TTL: 'soon' }, { TTL: '-1s' }]
  for (const wish of wrong) {
    const { status } = await client.put('/v1/operator/join-token', wish)
    t.equal(status, 400, JSON.stringify(wish))
  }
  for (const url of ['/v1/operator/join-token/x', '/v1/operator/ca/revoke/x']) {
    const { status } = url.includes('revoke')
      ? await client.put(url, undefined)
      : await client.get(url)
    t.equal(status, 404, url)
  }
})

t.test('roots, agents and a rotation', async t => {
  const { client } = await startFace(t)
  const roots = (await client.get('/v1/operator/ca/roots')).json
  t.match(roots, [
    { Use: 'agents', Generation: 1, Signs: true, Trusted: true },
    { Use: 'store', Generation: 1, Signs: true, Trusted: true },
  ])
  t.equal((await client.put('/v1/operator/ca/rotate', undefined)).text, 'true')
  const { text, json } = await client.get('/v1/operator/ca/roots')
  t.equal(json.length, 4)
  t.match(json[0], { Use: 'agents', Generation: 2, Signs: true, Trusted: true })
  t.match(json[1], { Use: 'agents', Generation: 1, Signs: false, Trusted: true })
  t.notMatch(text, /PRIVATE|[Ss]ealed/)
  const agents = (await client.get('/v1/operator/ca/agents')).json
  t.match(agents, [{ Kind: 'server', Root: 2, Revoked: false }])
  const own = await client.put(`/v1/operator/ca/revoke/${agents[0].NodeID}`, undefined)
  t.equal(own.status, 400, 'not the server that was asked')
})
