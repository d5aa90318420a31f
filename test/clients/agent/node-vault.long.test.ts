/** `node-vault` before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../node-vault.test.ts')
