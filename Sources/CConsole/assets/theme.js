// Before anything is drawn, so that nothing flickers: the chosen theme and language.
(() => {
  const theme = localStorage.getItem("cloudwright.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("cloudwright.language");
  if (language === "zh") document.documentElement.lang = "zh-CN";
})();
