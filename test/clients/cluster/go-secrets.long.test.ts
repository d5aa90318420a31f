/** Vault's and OpenBao's Go clients before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../go-secrets.test.ts')
