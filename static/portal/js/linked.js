// A link of MLflow's client names its page behind "#", which only the browser knows.
if (location.hash.startsWith("#/")) {
  location.replace(`${location.pathname}?at=${encodeURIComponent(location.hash.slice(1))}`);
}
