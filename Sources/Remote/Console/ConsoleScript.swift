/// The console's own script: reads the page anew when the door says that something changed, and takes over the parts that
/// differ. It makes no code and no markup of text: what it takes over is what the door wrote.
enum ConsoleScript {
  static let text = """
    "use strict";
    (() => {
      const state = document.getElementById("state");
      let isReading = false, isStale = false, source = null;
      const say = text => { if (state.textContent !== text) state.textContent = text; };
      const isBusy = part => part.contains(document.activeElement);

      // The items of a list by their ids; what the reader has the focus in stays.
      const merge = (list, fresh) => {
        const items = [...fresh.children], ids = new Set(items.map(item => item.id));
        for (const own of [...list.children]) if (!ids.has(own.id) && !isBusy(own)) own.remove();
        const known = new Map([...list.children].map(own => [own.id, own]));
        items.forEach((item, place) => {
          const own = known.get(item.id);
          if (!own) list.insertBefore(document.adoptNode(item), list.children[place] ?? null);
          else if (!own.isEqualNode(item) && !isBusy(own)) own.replaceWith(document.adoptNode(item));
        });
      };

      const take = page => {
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = page.getElementById(part.id);
          if (!fresh || part.isEqualNode(fresh)) continue;
          if (part.dataset.live === "list") merge(part, fresh);
          else if (!isBusy(part)) part.replaceWith(document.adoptNode(fresh));
        }
      };

      const read = () => {
        if (isReading) { isStale = true; return; }
        isReading = true;
        isStale = false;
        const request = new XMLHttpRequest();
        request.responseType = "document";
        request.onloadend = () => {
          isReading = false;
          if (request.responseURL.endsWith("/console/login")) { location.assign("/console/login"); return; }
          if (request.response && request.response.getElementById("state")) take(request.response);
          if (isStale) setTimeout(read, 250);
        };
        request.open("GET", state.dataset.reload);
        request.send();
      };

      const listen = () => {
        source = new EventSource("/console/events");
        source.onopen = () => { say("Live: what is new appears by itself."); read(); };
        source.onmessage = read;
        source.onerror = () => {
          say("Not live just now; connecting again.");
          if (source.readyState === EventSource.CLOSED) { read(); setTimeout(listen, 5000); }
        };
      };

      // A page that nobody sees needs no connection.
      document.addEventListener("visibilitychange", () => {
        source?.close();
        if (document.visibilityState === "visible") listen();
      });
      listen();
    })();
    """
}
