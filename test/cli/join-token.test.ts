/** The verbs of join tokens and of the agents' CA, against a real agent. */
import t from 'tap'
import { realAgent } from './support.ts'

const { ask } = await realAgent(t)
const NOBODY = '0d6c3c1e-7c5e-4f4e-8c58-0c2a2f1d9b11'

t.test('a join token from its making to its end', async t => {
  const made = await ask('join-token create -kind=server -max-uses=2 -ttl=24h -format=json')
  t.equal(made.code, 0, made.error)
  const { ID, Token, Kind, MaxUses } = JSON.parse(made.out)
  t.match([Kind, MaxUses], ['server', 2])
  t.match(Token, new RegExp(`^${ID}\\.[A-Za-z0-9_-]{43}$`))
  const secret = Token.split('.')[1]
  const shown = await ask('join-token create -description=edge')
  t.match(
    shown.out,
    /^ID: .*\nKind: +client\nDescription: +edge\n[\s\S]*The token is shown this once/,
  )
  const listed = (await ask('join-token list')).out
  t.match(listed, new RegExp(`${ID} +server +0 of 2 +20.*honoured`))
  const read = (await ask(`join-token read -id=${ID}`)).out
  t.match(read, /State: +honoured/)
  const rotated = await ask(`join-token rotate -id=${ID} -format=json`)
  const next = JSON.parse(rotated.out).Token
  t.not(next, Token)
  for (const text of [listed, read]) t.notOk(text.includes(secret), 'shown once')
  t.equal((await ask(`join-token revoke -id=${ID}`)).out, `Join token ${ID} revoked`)
  t.match((await ask(`join-token read -id=${ID}`)).out, /State: +revoked/)
  t.match(await ask(`join-token rotate -id=${ID}`), { code: 1, error: /was revoked/ })
  t.equal((await ask(`join-token revoke -id=${ID}`)).code, 0, 'it is removed')
  t.match(await ask(`join-token read -id=${ID}`), { code: 1, error: /no such join token/ })
})

t.test('what is missing or wrong', async t => {
  for (const verb of ['read', 'rotate', 'revoke']) {
    t.match(await ask(`join-token ${verb}`), { code: 1, error: /Must specify the -id parameter/ })
    t.match(await ask(`join-token ${verb} -id=${NOBODY}`), { code: 1, error: /no such join token/ })
  }
  t.match(await ask('join-token create -ttl=x'), { code: 1, error: /TTL must be a duration/ })
  t.not((await ask('join-token create -kind=x')).code, 0)
  t.not((await ask('join-token create more')).code, 0)
  t.match(await ask('operator ca revoke'), { code: 1, error: /Must specify the -node-id/ })
  t.match(await ask(`operator ca revoke -node-id=${NOBODY}`), { code: 1, error: /no agent/ })
})

t.test('the roots, and whom the cluster let in', async t => {
  const roots = (await ask('operator ca roots')).out
  t.match(roots, /^Use +Generation +State +Expires +SHA-256\nagents +1 +signs/)
  t.match((await ask('operator ca rotate')).out, /New roots sign from now on/)
  const after = (await ask('operator ca roots')).out
  t.match(
    after,
    /agents +2 +signs[\s\S]*agents +1 +trusted[\s\S]*store +2 +signs[\s\S]*store +1 +trusted/,
  )
  const agents = (await ask('operator ca agents')).out
  t.match(agents, /^Node +ID +Kind +Root +Certificate until +State\nn1 .* server +2 .*let in/)
  const [own] = JSON.parse((await ask('operator ca agents -format=json')).out)
  const revoking = await ask(`operator ca revoke -node-id=${own.NodeID}`)
  t.match(revoking, { code: 1, error: /ask another one/ })
})
