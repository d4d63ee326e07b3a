import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const server = process.env['WANGGE_URL'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [vue()],
  build: {
    // phones of the field are old: no newer syntax than their browsers know
    target: ['es2020', 'chrome87', 'safari14'],
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/sync', '/health', '/schema'].map((path) => [path, { target: server, changeOrigin: true }]),
    ),
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts', 'shared/**/*.test.ts'],
    restoreMocks: true,
  },
})
