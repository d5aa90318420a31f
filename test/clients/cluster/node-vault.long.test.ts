/** `node-vault` before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../node-vault.test.ts')
