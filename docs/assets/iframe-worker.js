// A browser starts no worker for a page that is opened from disk. There, this class runs the script of the search in a
// hidden frame instead. The theme looks for the name IFrameWorker.
window.IFrameWorker = class extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.append(this.frame);
    const scope = this.frame.contentWindow;
    const load = (address) =>
      new Promise((resolve, reject) => {
        const script = scope.document.createElement("script");
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${address} cannot be loaded`));
        script.src = address;
        scope.document.body.append(script);
      });
    scope.importScripts = async (...addresses) => {
      for (const address of addresses) await load(address);
    };
    scope.postMessage = (data) => {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    };
    this.loaded = load(url);
  }

  postMessage(data) {
    this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.frame.remove();
  }
};
if (location.protocol === "file:") window.Worker = window.IFrameWorker;
