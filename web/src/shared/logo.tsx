// The sign of relayline: frames that go both ways.

export function Logo() {
  return (
    <div class="brand" aria-hidden="true">
      <svg viewBox="0 0 24 24" width="22" height="22">
        <path d="M5 3v18M19 3v18" />
        <path d="M5 8h12m-3-3 3 3-3 3M19 16H7m3-3-3 3 3 3" />
      </svg>
    </div>
  );
}
