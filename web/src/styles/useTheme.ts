import { ref, watchEffect } from 'vue'

const KEY = 'wangge.theme'
const dark = window.matchMedia('(prefers-color-scheme: dark)')
const chosen = localStorage.getItem(KEY)
const theme = ref<'light' | 'dark'>(chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light')

dark.addEventListener('change', () => {
  if (localStorage.getItem(KEY) === null) theme.value = dark.matches ? 'dark' : 'light'
})

watchEffect(() => {
  document.documentElement.dataset['theme'] = theme.value
})

function switchTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark'
  localStorage.setItem(KEY, theme.value)
}

export function useTheme() {
  return { theme, switchTheme }
}
