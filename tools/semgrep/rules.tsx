// Examples of tools/semgrep/rules.yaml.
export function Name({ name, address, element }: { name: string; address: string; element: HTMLElement }) {
  // ruleid: markup-of-others
  element.innerHTML = name;
  // ruleid: markup-of-others
  element.insertAdjacentHTML("beforeend", name);
  // ok: markup-of-others
  element.textContent = name;
  // ruleid: link-of-others
  const foreign = <a href={address}>{name}</a>;
  // ok: link-of-others
  const own = <a href={link(`/nodes/${name}`)}>{name}</a>;
  // ok: link-of-others
  const checked = address && /^https?:/.test(address) && <a href={address}>{name}</a>;
  // ruleid: markup-of-others
  return <p dangerouslySetInnerHTML={{ __html: name }} />;
}
