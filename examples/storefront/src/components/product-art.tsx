const DRAWINGS: Record<string, string> = {
  shirt: "M70 52 92 40q8 12 16 12t16-12l22 12 24 30-20 16-10-10v72H76V88L66 98 46 82Z",
  shorts: "M64 50h88l12 100h-42l-14-58-14 58H52Z M64 64h88",
  hoodie: "M84 44q24-22 48 0l28 18 18 90-20 4-16-62v70H74V94l-16 62-20-4 18-90Z M84 44q24 40 48 0 M90 124h36l8 24H82Z",
  mug: "M58 64h84v76q0 14-14 14H72q-14 0-14-14Z M142 82h16q14 0 14 20t-14 20h-16 M82 50q-6-8 0-14t0-14 M112 50q-6-8 0-14t0-14",
}

/** The product's picture, or a drawing where it has none. */
export function ProductArt({ handle, title, thumbnail }: { handle?: string | null; title: string; thumbnail?: string | null }) {
  const hue = [...title].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 360
  const style = { "--hue": hue } as React.CSSProperties
  return (
    <div className="art" style={style} aria-hidden="true">
      {thumbnail ? (
        // eslint-disable-next-line @next/next/no-img-element -- the shop's pictures may be on any host
        <img src={thumbnail} alt="" loading="lazy" />
      ) : (
        <svg viewBox="0 0 216 190" fill="none" stroke="currentColor" strokeWidth="5" strokeLinejoin="round" strokeLinecap="round">
          <circle cx="108" cy="98" r="84" className="sun" />
          {DRAWINGS[handle ?? ""] ? (
            <path d={DRAWINGS[handle ?? ""]} />
          ) : (
            <text x="108" y="124" textAnchor="middle" fontSize="76" stroke="none" fill="currentColor">
              {title.slice(0, 1)}
            </text>
          )}
        </svg>
      )}
    </div>
  )
}
